import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Writes with an idempotent producer, the default since 3.0, and reads back by assignment. It compiles with
 * kafka-clients from 2.8 on. Arguments: a broker's address and a name for the topics of this run. The last line is
 * `N passed, N failed, N skipped`.
 */
public class Roundtrip {
    private static final int PARTITIONS = 3;
    private static final int RECORDS = 900;
    /** An hour ago: what is older than a week is deleted while it is looked at. */
    private static final long FIRST_TIMESTAMP = System.currentTimeMillis() - 3_600_000;
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static int passed;
    private static int failed;
    private static String bootstrap;

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        String version = AppInfoParser.getVersion();
        String name = arguments[1] + "-" + version;
        System.out.println("        kafka-clients " + version);
        try (Admin admin = Admin.create(settings())) {
            topics(admin, name);
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) roundTrip(admin, name, codec);
            offsets(admin, name + "-none");
            sizes(admin, name + "-sizes");
            defaults(admin, name + "-defaults");
        }
        System.out.println(passed + " passed, " + failed + " failed, 0 skipped");
        System.exit(failed == 0 ? 0 : 1);
    }

    private static Map<String, Object> settings(Object... more) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < more.length; i += 2) settings.put((String) more[i], more[i + 1]);
        return settings;
    }

    private static KafkaProducer<byte[], byte[]> producer(Object... more) {
        return new KafkaProducer<>(settings(more), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static KafkaConsumer<byte[], byte[]> consumer(Object... more) {
        return new KafkaConsumer<>(settings(more), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static void same(String name, Object expected, Object found) {
        if (Objects.equals(expected, found)) {
            passed++;
            System.out.println("ok      " + name);
        } else {
            failed++;
            System.out.println("FAILED  " + name + "\n  expected: " + expected + "\n  found:    " + found);
        }
    }

    private interface Attempt {
        void run() throws Exception;
    }

    /** The exception that an attempt ends with: a future's cause, where it is one. */
    private static Class<?> refusal(Attempt attempt) {
        try {
            attempt.run();
            return null;
        } catch (ExecutionException refused) {
            return refused.getCause().getClass();
        } catch (Exception refused) {
            return refused.getClass();
        }
    }

    private static void create(Admin admin, String topic, int partitions) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
    }

    private static void topics(Admin admin, String name) throws Exception {
        String topic = name + "-topics";
        create(admin, topic, PARTITIONS);
        same("a topic is there", true, isListed(admin, topic, true));
        same("and not twice", TopicExistsException.class, refusal(() -> create(admin, topic, 1)));
        admin.deleteTopics(List.of(topic)).all().get();
        same("and gone again", false, isListed(admin, topic, false));
    }

    /** Whether a topic is listed: as expected, or after ten looks; Kafka's broker hears of it from its controller. */
    private static boolean isListed(Admin admin, String topic, boolean expected) throws Exception {
        boolean found = !expected;
        for (int look = 0; look < 10 && found != expected; look++) {
            found = admin.listTopics().names().get().contains(topic);
            if (found != expected) Thread.sleep(200);
        }
        return found;
    }

    /** Record i of a topic: every tenth without key, every seventh without value, with i % 3 headers of one name. */
    private static ProducerRecord<byte[], byte[]> record(String topic, int i) {
        byte[] key = i % 10 == 0 ? null : bytes("key " + i);
        byte[] value = i % 7 == 0 ? null : bytes("value " + i + " " + "x".repeat(i % 500));
        var record = new ProducerRecord<>(topic, i % PARTITIONS, FIRST_TIMESTAMP + i, key, value);
        for (int header = 0; header < i % 3; header++) record.headers().add("header", bytes("h" + header));
        return record;
    }

    private static String text(byte[] key, byte[] value, Iterable<Header> headers, long timestamp) {
        StringBuilder text = new StringBuilder(timestamp + " " + string(key) + "=" + string(value));
        for (Header header : headers) text.append(' ').append(header.key()).append(':').append(string(header.value()));
        return text.toString();
    }

    private static void roundTrip(Admin admin, String name, String codec) throws Exception {
        String topic = name + "-" + codec;
        create(admin, topic, PARTITIONS);
        List<List<String>> expected = new ArrayList<>();
        for (int partition = 0; partition < PARTITIONS; partition++) expected.add(new ArrayList<>());
        List<Future<RecordMetadata>> answers = new ArrayList<>();
        try (var producer = producer("enable.idempotence", true, "compression.type", codec, "batch.size", 4_000)) {
            for (int i = 0; i < RECORDS; i++) {
                var record = record(topic, i);
                answers.add(producer.send(record));
                // Kafka may refuse the first batch of a partition that is still being made, and take those behind it.
                if (i < PARTITIONS) answers.get(i).get();
                String text = text(record.key(), record.value(), record.headers(), record.timestamp());
                expected.get(i % PARTITIONS).add(i / PARTITIONS + " " + text);
            }
        }
        boolean dense = true;
        for (int i = 0; i < RECORDS; i++) {
            RecordMetadata stored = answers.get(i).get();
            dense &= stored.offset() == i / PARTITIONS && stored.partition() == i % PARTITIONS;
        }
        same(codec + ": each record got the offset of its place", true, dense);
        for (int partition = 0; partition < PARTITIONS; partition++) {
            List<String> found = new ArrayList<>();
            for (var record : read(new TopicPartition(topic, partition), 0, expected.get(partition).size())) {
                String text = text(record.key(), record.value(), record.headers(), record.timestamp());
                found.add(record.offset() + " " + text);
            }
            same(codec + ": partition " + partition + " there and back", true, expected.get(partition).equals(found));
        }
    }

    private static List<ConsumerRecord<byte[], byte[]>> read(TopicPartition partition, long offset, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long until = System.nanoTime() + PATIENCE.toNanos();
        try (var consumer = consumer("check.crcs", true, "max.partition.fetch.bytes", 20_000)) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, offset);
            while (records.size() < count && System.nanoTime() < until) {
                records.addAll(consumer.poll(Duration.ofMillis(200)).records(partition));
            }
        }
        return records;
    }

    private static void offsets(Admin admin, String topic) {
        TopicPartition first = new TopicPartition(topic, 0);
        Collection<TopicPartition> only = List.of(first);
        long end = RECORDS / PARTITIONS;
        try (var consumer = consumer("auto.offset.reset", "none")) {
            same("its partitions", PARTITIONS, consumer.partitionsFor(topic).size());
            same("beginningOffsets", Map.of(first, 0L), consumer.beginningOffsets(only));
            same("endOffsets", Map.of(first, end), consumer.endOffsets(only));
            // Partition 0 has every third millisecond: the next one after 10 is 12.
            var found = consumer.offsetsForTimes(Map.of(first, FIRST_TIMESTAMP + 10)).get(first);
            same("offsetsForTimes", "4 at " + (FIRST_TIMESTAMP + 12), found.offset() + " at " + found.timestamp());
            var late = consumer.offsetsForTimes(Map.of(first, FIRST_TIMESTAMP + RECORDS)).get(first);
            same("offsetsForTimes after the last record", null, late);
            consumer.assign(only);
            consumer.seekToEnd(only);
            same("the position of the end", end, consumer.position(first));
            consumer.seek(first, end - 1);
            long until = System.nanoTime() + PATIENCE.toNanos();
            List<Long> last = new ArrayList<>();
            while (last.isEmpty() && System.nanoTime() < until) {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> last.add(record.offset()));
            }
            same("the last record alone", List.of(end - 1), last);
            consumer.seek(first, end + 1_000);
            same("an offset out of range", OffsetOutOfRangeException.class, refusal(() -> {
                while (System.nanoTime() < until) consumer.poll(Duration.ofMillis(200));
            }));
        }
    }

    private static void sizes(Admin admin, String topic) throws Exception {
        create(admin, topic, 1);
        byte[] large = new byte[900_000];
        try (var producer = producer("enable.idempotence", true, "max.request.size", 3_000_000)) {
            same("a large record", 0L, producer.send(new ProducerRecord<>(topic, large)).get().offset());
            same("one too large", RecordTooLargeException.class,
                refusal(() -> producer.send(new ProducerRecord<>(topic, new byte[2_000_000])).get()));
            same("and one after it", 1L, producer.send(new ProducerRecord<>(topic, bytes("after"))).get().offset());
        }
        List<Integer> found = new ArrayList<>();
        read(new TopicPartition(topic, 0), 0, 2).forEach(record -> found.add(record.value().length));
        same("their sizes", List.of(900_000, 5), found);
    }

    /** Not a setting but the address, and a topic that nobody created. */
    private static void defaults(Admin admin, String topic) throws Exception {
        try (var producer = producer()) {
            for (int i = 0; i < 100; i++) {
                var answer = producer.send(new ProducerRecord<>(topic, bytes("k" + i % 5), bytes("v" + i)));
                if (i == 0) answer.get();
            }
        }
        List<String> found = new ArrayList<>();
        read(new TopicPartition(topic, 0), 0, 100).forEach(record -> found.add(string(record.value())));
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 100; i++) expected.add("v" + i);
        same("with default settings, into a topic that the producer makes", expected, found);
        admin.deleteTopics(Collections.singleton(topic)).all().get();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String string(byte[] bytes) {
        return bytes == null ? "null" : new String(bytes, StandardCharsets.UTF_8);
    }
}
