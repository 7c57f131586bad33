"""Transactions by raw requests: each is answered as Kafka 4.3.1 answered it (txn_answers.json, written by tests/lib/txn_scenarios.py)."""
import json
import os

import txn_scenarios

from .clients import KafkaCase


class Answers(KafkaCase):
    def test_as_kafka(self):
        with open(os.path.join(os.path.dirname(__file__), "txn_answers.json"), encoding="utf-8") as f:
            recorded = json.load(f)
        self.serve()
        for scenario in txn_scenarios.SCENARIOS:
            with self.subTest(scenario.__name__):
                notes = txn_scenarios.run(self.address, scenario)
                for kafka, ours in zip(recorded[scenario.__name__], notes):
                    self.assertEqual(kafka, ours)
                self.assertEqual(len(recorded[scenario.__name__]), len(notes))
