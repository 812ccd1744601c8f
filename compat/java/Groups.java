import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Groups of three that read while members leave, crash and come: nothing is lost, nothing is read twice but what a
 * crashed member had not committed, and no partition has two owners. It compiles with kafka-clients from 2.8 on.
 * Arguments: a broker's address and a name for the topics of this run. The last line counts.
 */
public class Groups {
    private static final int PARTITIONS = 6;
    /** Records that are written at a time. */
    private static final int PART = 600;
    /** The shortest that a broker allows by default: so long nobody takes over from a member that crashed. */
    private static final int SESSION_MS = 6_000;
    private static final long PATIENCE_MS = 60_000;

    private static String bootstrap;
    private static int passed;
    private static int failed;

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        String version = AppInfoParser.getVersion();
        System.out.println("        kafka-clients " + version);
        String name = arguments[1] + "-groups-" + version;
        List<Thread> scenarios = List.of(
            scenario("eager", () -> comeAndGo("eager", name + "-eager", RangeAssignor.class)),
            scenario("cooperative", () -> comeAndGo("cooperative", name + "-cooperative", CooperativeStickyAssignor.class)),
            scenario("static", () -> returnInTime("static", name + "-static")));
        for (Thread scenario : scenarios) scenario.join();
        System.out.println(passed + " passed, " + failed + " failed, 0 skipped");
        System.exit(failed == 0 ? 0 : 1);
    }

    /** Three members; one leaves, one crashes with records that it has not committed, one comes. */
    private static void comeAndGo(String scenario, String topic, Class<?> assignor) throws Exception {
        try (Admin admin = Admin.create(settings())) {
            Group group = new Group(admin, topic, assignor);
            Member first = group.join();
            Member leaving = group.join();
            Member crashing = group.joinToCrash();
            same(scenario + ": each of three has two partitions", true, until(() -> group.has(2, first, leaving, crashing)));
            group.write();
            same(scenario + ": they read", true, until(() -> group.read.size() == PART));
            group.write();
            leaving.leave();
            same(scenario + ": two have three each after one has left", true, until(() -> group.has(3, first, crashing)));
            crashing.commits = false;
            group.write();
            same(scenario + ": all is read", true, until(() -> group.read.size() == 3 * PART));
            Set<String> uncommitted = crashing.crash();
            Member coming = group.join();
            group.write();
            same(scenario + ": others take over from one that crashed", true, until(() -> group.has(3, first, coming)));
            same(scenario + ": nothing is lost", true, until(() -> group.read.size() == 4 * PART));
            first.leave();
            coming.leave();
            same(scenario + ": what is committed is all", 4L * PART, group.committed());
            Set<String> twice = new TreeSet<>();
            group.read.forEach((record, times) -> {
                if (times > 1) twice.add(record);
            });
            same(scenario + ": nothing is read twice but what was not committed", uncommitted, twice);
            same(scenario + ": no partition had two owners", List.of(), group.conflicts);
        }
    }

    /** A static member that is back before its session ends has its partitions again, and the other hears nothing of it. */
    private static void returnInTime(String scenario, String topic) throws Exception {
        try (Admin admin = Admin.create(settings())) {
            Group group = new Group(admin, topic, RangeAssignor.class);
            Member staying = group.joinStatic("staying");
            Member away = group.joinStatic("away");
            same(scenario + ": two members share", true, until(() -> group.has(3, staying, away)));
            group.write();
            same(scenario + ": they read", true, until(() -> group.read.size() == PART));
            Set<Integer> partitions = new TreeSet<>(away.partitions);
            int assignments = staying.assignments;
            away.leave();
            group.write();
            Member back = group.joinStatic("away");
            same(scenario + ": who comes back has its partitions", true, until(() -> back.partitions.equals(partitions)));
            same(scenario + ": nothing is lost", true, until(() -> group.read.size() == 2 * PART));
            same(scenario + ": the other was left alone", assignments, staying.assignments);
            staying.leave();
            back.leave();
            same(scenario + ": nothing is read twice", Set.of(1), new TreeSet<>(group.read.values()));
            same(scenario + ": what is committed is all", 2L * PART, group.committed());
        }
    }

    /** A topic, and what the members of its group read of it. */
    private static final class Group {
        final Admin admin;
        final String topic;
        final Class<?> assignor;
        final Map<String, Integer> read = new ConcurrentHashMap<>();
        final Map<Integer, Member> owners = new ConcurrentHashMap<>();
        final List<String> conflicts = Collections.synchronizedList(new ArrayList<>());
        private int written;

        Group(Admin admin, String topic, Class<?> assignor) throws Exception {
            this.admin = admin;
            this.topic = topic;
            this.assignor = assignor;
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
        }

        Member join() {
            return started(new Member(this, null, false));
        }

        Member joinStatic(String instance) {
            return started(new Member(this, instance, false));
        }

        Member joinToCrash() {
            return started(new Member(this, null, true));
        }

        private static Member started(Member member) {
            member.start();
            return member;
        }

        /** Writes a part, a few records at a time, so that rebalances fall in between. */
        void write() throws Exception {
            try (var producer = new KafkaProducer<>(settings("linger.ms", 1), new StringSerializer(), new StringSerializer())) {
                List<Future<?>> stored = new ArrayList<>();
                for (int i = 0; i < PART; i++, written++) {
                    stored.add(producer.send(new ProducerRecord<>(topic, written % PARTITIONS, null, "value " + written)));
                    if (i % 20 == 0) Thread.sleep(10);
                }
                for (Future<?> answer : stored) answer.get();
            }
        }

        boolean has(int partitions, Member... members) {
            for (Member member : members) {
                if (member.partitions.size() != partitions) return false;
            }
            return true;
        }

        long committed() throws Exception {
            Map<TopicPartition, OffsetAndMetadata> offsets =
                admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get();
            return offsets.values().stream().mapToLong(OffsetAndMetadata::offset).sum();
        }
    }

    private static final class Member extends Thread implements ConsumerRebalanceListener {
        private final Group group;
        private final KafkaConsumer<String, String> consumer;
        private final Set<String> uncommitted = new TreeSet<>();
        final Set<Integer> partitions = ConcurrentHashMap.newKeySet();
        volatile boolean commits = true;
        volatile int assignments;
        private volatile boolean leaving;
        private volatile boolean crashed;

        Member(Group group, String instance, boolean dies) {
            this.group = group;
            Map<String, Object> settings = settings(
                "group.id", group.topic, "enable.auto.commit", false, "auto.offset.reset", "earliest",
                "session.timeout.ms", SESSION_MS, "heartbeat.interval.ms", 200, "fetch.max.wait.ms", 100,
                "partition.assignment.strategy", group.assignor.getName());
            if (instance != null) settings.put("group.instance.id", instance);
            // Closes without a word, as a process that is killed does.
            if (dies) settings.put("internal.leave.group.on.close", false);
            consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
            setDaemon(true);
        }

        @Override
        public void run() {
            consumer.subscribe(List.of(group.topic), this);
            while (!leaving) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(50))) {
                    group.read.merge(record.value(), 1, Integer::sum);
                    uncommitted.add(record.value());
                }
                if (commits) commit();
            }
            consumer.close();
        }

        private void commit() {
            try {
                if (!uncommitted.isEmpty()) consumer.commitSync();
                uncommitted.clear();
            } catch (RebalanceInProgressException later) {
                // A cooperative member reads on in a rebalance, and commits after it.
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            assignments++;
            for (TopicPartition partition : assigned) {
                Member before = group.owners.put(partition.partition(), this);
                if (before != null && before != this) group.conflicts.add(partition.toString());
                partitions.add(partition.partition());
            }
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            if (!crashed) commit();
            release(revoked);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> lost) {
            release(lost);
        }

        private void release(Collection<TopicPartition> released) {
            for (TopicPartition partition : released) {
                group.owners.remove(partition.partition(), this);
                partitions.remove(partition.partition());
            }
        }

        void leave() throws Exception {
            leaving = true;
            join(PATIENCE_MS);
        }

        /** Ends without a commit and without leaving; what it had not committed. */
        Set<String> crash() throws Exception {
            crashed = true;
            leave();
            // Not every version tells the listener of it.
            group.owners.values().removeIf(owner -> owner == this);
            return uncommitted;
        }
    }

    private interface Scenario {
        void play() throws Exception;
    }

    private static Thread scenario(String name, Scenario scenario) {
        Thread thread = new Thread(() -> {
            try {
                scenario.play();
            } catch (Throwable failure) {
                same(name + ": the whole scenario", "done", failure.toString());
            }
        });
        thread.start();
        return thread;
    }

    private static Map<String, Object> settings(Object... more) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < more.length; i += 2) settings.put((String) more[i], more[i + 1]);
        return settings;
    }

    private static boolean until(BooleanSupplier condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PATIENCE_MS);
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) return false;
            Thread.sleep(20);
        }
        return true;
    }

    private static synchronized void same(String name, Object expected, Object found) {
        if (Objects.equals(expected, found)) {
            passed++;
            System.out.println("ok      " + name);
        } else {
            failed++;
            System.out.println("FAILED  " + name + "\n  expected: " + expected + "\n  found:    " + found);
        }
    }
}
