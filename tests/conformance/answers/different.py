"""Where our answers are not Kafka's: pattern of cases ("api: name vVERSION"), pattern of the question, and why."""
import os

DIFFERENT = [
    ("JoinGroup: bad groups*", "DescribeGroups 5, nothing was made",
     "Kafka makes the group before it refuses the member, and forgets it again when it next looks for empty ones"),
    ("Produce: a producer that nobody knows*", "*, epoch -1",
     "no producer has an epoch below 0; Kafka keeps such a batch, and a state that no other can follow"),
    ("Produce: a topic or partition named twice*", "*",
     "Kafka drops all but the last batch of the partition without a word; here each is appended and answered"),
    ("CreateTopics: configurations*", "*, retention.ms= 1000 ", "Kafka keeps the blanks of a value; here it is kept without"),
    ("Metadata: names with a NUL*", "*, 'retention.ms'='1\\x00'", "Kafka takes a NUL at the end of a value for a blank, and keeps it"),
]

with open(os.path.join(os.path.dirname(__file__), "owed.txt"), encoding="utf-8") as f:
    # Not yet as Kafka's: "case | question", the case without its version.
    OWED = {line.rstrip("\n") for line in f if not line.startswith("#")}
