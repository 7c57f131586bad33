/*
 * The Java client as a driver; README.md tells what each command does.
 *
 *   java Driver.java COMMAND ADDRESS ARGUMENT...
 */
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Driver {
    static final ObjectMapper json = new ObjectMapper();
    static final String[] RETENTION = {"86400000", "3600000"};
    static String address;

    static void say(Object what) throws Exception {
        System.out.println(json.writeValueAsString(what));
    }

    static Map<String, Object> settings(Object... pairs) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", address);
        for (int i = 0; i < pairs.length; i += 2)
            settings.put((String) pairs[i], pairs[i + 1]);
        return settings;
    }

    static KafkaProducer<String, String> producer(Object... pairs) {
        return new KafkaProducer<>(settings(pairs), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(Object... pairs) {
        Map<String, Object> settings = settings(pairs);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        settings.put("isolation.level", "read_committed");
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    static String text(JsonNode node) {
        return node.isNull() ? null : node.asText();
    }

    static void write(String topic, List<String> codecs) throws Exception {
        List<JsonNode> records = new ArrayList<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null;)
            records.add(json.readTree(line));
        for (String codec : codecs)
            write(topic + "-" + codec, codec, records);
    }

    static void write(String topic, String codec, List<JsonNode> records) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = producer("compression.type", codec, "linger.ms", 20)) {
            for (JsonNode r : records) {
                ProducerRecord<String, String> record = new ProducerRecord<>(topic, r.get("partition").asInt(), r.get("timestamp").asLong(),
                    text(r.get("key")), text(r.get("value")));
                for (JsonNode h : r.get("headers"))
                    record.headers().add(h.get(0).asText(), h.get(1).isNull() ? null : h.get(1).asText().getBytes(StandardCharsets.UTF_8));
                sent.add(producer.send(record));
            }
        }
        for (Future<RecordMetadata> one : sent)
            one.get();
    }

    static void show(ConsumerRecord<String, String> r) throws Exception {
        Map<String, Object> shown = new LinkedHashMap<>();
        List<Object> headers = new ArrayList<>();
        for (Header h : r.headers())
            headers.add(Arrays.asList(h.key(), h.value() == null ? null : new String(h.value(), StandardCharsets.UTF_8)));
        shown.put("topic", r.topic());
        shown.put("partition", r.partition());
        shown.put("offset", r.offset());
        shown.put("key", r.key());
        shown.put("value", r.value());
        shown.put("headers", headers);
        shown.put("timestamp", r.timestamp());
        say(shown);
    }

    static void read(int count, List<String> topics) throws Exception {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            List<TopicPartition> all = new ArrayList<>();
            for (String topic : topics)
                consumer.partitionsFor(topic).forEach(p -> all.add(new TopicPartition(topic, p.partition())));
            consumer.assign(all);
            while (count > 0)
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofSeconds(1))) {
                    show(r);
                    count--;
                }
        }
    }

    static class Listener implements ConsumerRebalanceListener {
        final Set<Integer> mine = new TreeSet<>();

        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            partitions.forEach(p -> mine.add(p.partition()));
            try {
                say(Map.of("assigned", mine));
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }

        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            partitions.forEach(p -> mine.remove(p.partition()));
        }
    }

    static void group(String name, String topic, String protocol) throws Exception {
        Map<String, Object> more = new HashMap<>(Map.of("group.id", name, "group.protocol", protocol));
        if (protocol.equals("classic")) {
            more.put("heartbeat.interval.ms", 500);
            more.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        }
        Object[] pairs = more.entrySet().stream().flatMap(e -> Arrays.asList(e.getKey(), e.getValue()).stream()).toArray();
        Thread told = new Thread(() -> {
            try {
                while (System.in.read() >= 0)
                    continue;
            } catch (java.io.IOException e) {
                return;
            }
        });
        told.setDaemon(true);
        told.start();
        try (KafkaConsumer<String, String> consumer = consumer(pairs)) {
            consumer.subscribe(List.of(topic), new Listener());
            while (told.isAlive())
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(50))) {
                    consumer.commitSync(Map.of(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1)));
                    show(r);
                }
        }
        say(Map.of("closed", true));
    }

    static List<String> many(String what) {
        List<String> values = new ArrayList<>();
        for (int i = 0; i < 10; i++)
            values.add(what + " " + i);
        return values;
    }

    @SuppressWarnings("removal")
    static void transaction(KafkaProducer<String, String> p, String out, List<String> values, Map<TopicPartition, OffsetAndMetadata> offsets,
                            String name, boolean commit) {
        p.beginTransaction();
        values.forEach(v -> p.send(new ProducerRecord<>(out, 0, null, v)));
        p.flush(); // what was not sent would not have to be aborted
        if (offsets != null)
            p.sendOffsetsToTransaction(offsets, new ConsumerGroupMetadata(name));
        if (commit)
            p.commitTransaction();
        else
            p.abortTransaction();
    }

    static void txn(String out, String name, String source) {
        try (KafkaProducer<String, String> p = producer("transactional.id", "java-" + out)) {
            TopicPartition first = new TopicPartition(source, 0);
            p.initTransactions();
            transaction(p, out, many("aborted"), null, name, false);
            transaction(p, out, many("kept"), Map.of(first, new OffsetAndMetadata(5)), name, true);
            transaction(p, out, many("aborted again"), Map.of(first, new OffsetAndMetadata(9)), name, false);
            transaction(p, out, List.of("kept too"), null, name, true);
        }
    }

    static String retention(Admin admin, ConfigResource resource) throws Exception {
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value();
    }

    static void admin(String topic, String name, String source) throws Exception {
        Map<String, Object> found = new LinkedHashMap<>();
        try (Admin admin = Admin.create(settings())) {
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1).configs(Map.of("retention.ms", RETENTION[0])))).all().get();
            List<String> seen = new ArrayList<>(List.of(retention(admin, resource)));
            admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", RETENTION[1]),
                AlterConfigOp.OpType.SET)))).all().get();
            seen.add(retention(admin, resource));
            found.put("retention", seen);
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
            found.put("partitions", admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
            TopicPartition first = new TopicPartition(source, 0);
            found.put("low", admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(3))).lowWatermarks().get(first).get().lowWatermark());
            found.put("listed", admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(name)));
            found.put("state", admin.describeConsumerGroups(List.of(name)).all().get().get(name).groupState().toString());
            List<Object> offsets = new ArrayList<>();
            admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get()
                .forEach((p, o) -> offsets.add(List.of(p.topic(), p.partition(), o.offset())));
            found.put("offsets", offsets);
            admin.deleteConsumerGroups(List.of(name)).all().get();
            admin.deleteTopics(List.of(topic)).all().get();
            found.put("left", admin.listTopics().names().get().contains(topic));
        }
        say(found);
    }

    public static void main(String[] a) throws Exception {
        address = a[1];
        switch (a[0]) {
        case "write" -> write(a[2], Arrays.asList(a).subList(3, a.length));
        case "read" -> read(Integer.parseInt(a[2]), Arrays.asList(a).subList(3, a.length));
        case "group" -> group(a[2], a[3], a.length > 4 ? a[4] : "classic");
        case "txn" -> txn(a[2], a[3], a[4]);
        case "admin" -> admin(a[2], a[3], a[4]);
        default -> throw new IllegalArgumentException(a[0]);
        }
    }
}
