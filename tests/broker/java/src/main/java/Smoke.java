import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** What a Java service and a Java user interface do, once each; prints "ok NAME" for every step. */
public final class Smoke {
    private static final int RECORDS = 200;
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final String bootstrap;
    private final String topic;

    private Smoke(String bootstrap, String topic) {
        this.bootstrap = bootstrap;
        this.topic = topic;
    }

    public static void main(String[] args) throws Exception {
        Smoke smoke = new Smoke(args[0], args[1]);
        smoke.createsAndDescribesTopics();
        smoke.producesWithEveryCodec();
        smoke.consumesAsAGroup();
        smoke.administers();
    }

    private static void step(String name, boolean holds) {
        if (!holds) {
            throw new IllegalStateException(name);
        }
        System.out.println("ok " + name);
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("request.timeout.ms", "10000");
        properties.put("delivery.timeout.ms", "20000");
        properties.put("default.api.timeout.ms", "20000");
        return properties;
    }

    private void createsAndDescribesTopics() throws Exception {
        try (Admin admin = Admin.create(properties())) {
            var created = admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "1000000"))));
            step("create", created.numPartitions(topic).get(20, TimeUnit.SECONDS) == 3);
            step("create answers configs", created.config(topic).get().get("retention.ms").value().equals("1000000"));
            var described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            step("describe", described.partitions().size() == 3 && described.topicId() != null);
            step("cluster", admin.describeCluster().nodes().get().size() == 1);
        }
    }

    private void producesWithEveryCodec() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Properties properties = properties();
            properties.put("acks", "all");
            properties.put("enable.idempotence", "true");
            properties.put("compression.type", codec);
            properties.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
            properties.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
            try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
                for (int number = 0; number < RECORDS; number++) {
                    ProducerRecord<String, String> record =
                        new ProducerRecord<>(topic, "tenant-" + number % 5, codec + " " + number);
                    record.headers().add("ce_id", codec.getBytes());
                    producer.send(record);
                }
                producer.flush();
                long offset = producer.send(new ProducerRecord<>(topic, 0, "last", codec + " last")).get().offset();
                step("produce " + codec, offset > 0);
            }
        }
    }

    private void consumesAsAGroup() {
        Properties properties = properties();
        properties.put("group.id", topic + ".group");
        properties.put("group.protocol", "classic");
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        properties.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        Set<String> values = new HashSet<>();
        int expected = 5 * (RECORDS + 1);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(List.of(topic));
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (values.size() < expected && System.nanoTime() < deadline) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    values.add(record.value());
                }
            }
            step("consume", values.size() == expected);
            consumer.commitSync();
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
            step("commit", committed.values().stream().mapToLong(OffsetAndMetadata::offset).sum() == expected);
            TopicPartition first = new TopicPartition(topic, 0);
            step("end offsets", consumer.endOffsets(List.of(first)).get(first) == consumer.position(first));
            step("times", consumer.offsetsForTimes(Map.of(first, 0L)).get(first).offset() == 0);
        }
    }

    private void administers() throws Exception {
        String group = topic + ".group";
        TopicPartition first = new TopicPartition(topic, 0);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (Admin admin = Admin.create(properties())) {
            step("list groups", admin.listGroups().all().get().stream().anyMatch(listing -> listing.groupId().equals(group)));
            step("describe group", admin.describeConsumerGroups(List.of(group)).all().get().containsKey(group));
            step("group offsets", admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().size() == 3);
            step("latest", admin.listOffsets(Map.of(first, OffsetSpec.latest())).partitionResult(first).get().offset() > 0);
            AlterConfigOp set = new AlterConfigOp(new ConfigEntry("retention.ms", "2000000"), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
            var configs = admin.describeConfigs(List.of(resource)).all().get().get(resource);
            step("configs", configs.get("retention.ms").value().equals("2000000"));
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
            step("grow", admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size() == 4);
            step("log dirs", !admin.describeLogDirs(List.of(1)).allDescriptions().get().isEmpty());
            admin.deleteConsumerGroups(List.of(group)).all().get();
            admin.deleteTopics(List.of(topic)).all().get();
            step("delete", !admin.listTopics().names().get().contains(topic));
        }
    }
}
