import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs the commands of transcripts against Apache Kafka and Ottla and compares what Kafka's tools print with what the
 * transcript says. One JVM runs all tools, because each would cost a second or two to start.
 *
 * A transcript has blocks of `$ TOOL ARGUMENTS` and the lines that are printed then; --bootstrap-server is added. Of a
 * block that begins with `$? ` Ottla may leave lines out, but must not print others. `| ` stands before what goes to
 * stderr, `[exit N]` at the end says that it failed. A line that only one of the two prints begins with `kafka LABEL> `
 * or `ottla LABEL> `; DIFFERENCES.md gives the reason under that label.
 *
 * Arguments: Kafka's address, Ottla's address, a folder for files, DIFFERENCES.md (or `-` where not all transcripts
 * are run), transcripts. With RECORD=1 in the environment the transcripts are written anew from what is printed, to be
 * read before they are kept.
 */
public class Transcripts {
    private static final int PATIENCE_SECONDS = 60;

    private static final Map<String, String> TOOLS = Map.ofEntries(
        Map.entry("kafka-topics", "org.apache.kafka.tools.TopicCommand"),
        Map.entry("kafka-configs", "kafka.admin.ConfigCommand"),
        Map.entry("kafka-get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
        Map.entry("kafka-delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
        Map.entry("kafka-log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
        Map.entry("kafka-broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
        Map.entry("kafka-cluster", "org.apache.kafka.tools.ClusterTool"),
        Map.entry("kafka-producer-perf-test", "org.apache.kafka.tools.ProducerPerformance"),
        Map.entry("kafka-verifiable-producer", "org.apache.kafka.tools.VerifiableProducer"),
        Map.entry("kafka-console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
        Map.entry("kafka-consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
        Map.entry("kafka-groups", "org.apache.kafka.tools.GroupsCommand"),
        Map.entry("kafka-consumer-perf-test", "org.apache.kafka.tools.ConsumerPerformance"),
        Map.entry("kafka-verifiable-consumer", "org.apache.kafka.tools.VerifiableConsumer"),
        Map.entry("kafka-e2e-latency", "org.apache.kafka.tools.EndToEndLatency"));

    /** What differs from run to run: everywhere, or where a tool measures. */
    private static final Map<String, String> MASKS = new LinkedHashMap<>(Map.of(
        "127\\.0\\.0\\.1:[0-9]+", "HOST:PORT",
        "(?<=127\\.0\\.0\\.1 )[0-9]+", "PORT",
        "TopicId: [A-Za-z0-9_-]{22}", "TopicId: ID",
        "Cluster ID: [A-Za-z0-9_-]{22}", "Cluster ID: ID",
        "Valid states are: .*", "Valid states are: STATES",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID",
        "\"logDir\":\"[^\"]*\"", "\"logDir\":\"FOLDER\"",
        "log\\.dirs=[^ ,}]+", "log.dirs=FOLDER"));
    private static final Map<String, String> MEASURED = Map.of(
        "kafka-producer-perf-test", "(?<![a-z0-9.])[0-9]++(\\.[0-9]++)?+(?! records sent)",
        "kafka-verifiable-producer", "(?<=\"(timestamp|avg_throughput|target_throughput)\":)[0-9.-]+",
        "kafka-verifiable-consumer", "(?<=\"timestamp\":)[0-9]+",
        "kafka-consumer-perf-test", "(?<![a-z.])[0-9-]++([.:][0-9]++)*+",
        "kafka-e2e-latency", "(?<![a-z0-9.])[0-9]++(\\.[0-9]++)?+(?![0-9]*(th|\t))");

    private static final PrintStream CONSOLE = System.out;
    private static OutputStream out = OutputStream.nullOutputStream();
    private static OutputStream err = OutputStream.nullOutputStream();
    private static CompletableFuture<Integer> exit;

    private static Path folder;
    private static final Map<String, Member> members = new LinkedHashMap<>();
    private static int passed;
    private static int failed;

    public static void main(String[] arguments) throws Exception {
        Map<String, String> brokers = new LinkedHashMap<>();
        brokers.put("kafka", arguments[0]);
        brokers.put("ottla", arguments[1]);
        folder = Path.of(arguments[2]);
        // Tools keep the streams that they find first, Scala's for one: these stay, and what is behind them changes.
        System.setOut(new PrintStream(new Behind(false), true));
        System.setErr(new PrintStream(new Behind(true), true));
        Exit.setExitProcedure((code, message) -> {
            exit.complete(code);
            // A process would be gone now: nothing that follows may run.
            while (true) LockSupport.park();
        });
        Set<String> labels = new TreeSet<>();
        for (int i = 4; i < arguments.length; i++) {
            Path path = Path.of(arguments[i]);
            List<Block> blocks = parse(path);
            for (Block block : blocks) {
                for (String broker : brokers.keySet()) block.run(broker, brokers.get(broker));
                block.check(path.getFileName().toString());
                block.expected.forEach(line -> labels.addAll(line.label()));
            }
            if (System.getenv("RECORD") != null) Files.write(path, record(blocks));
        }
        if (!arguments[3].equals("-")) check("each difference has its reason", labels, headings(Path.of(arguments[3])));
        CONSOLE.println(passed + " passed, " + failed + " failed, 0 skipped");
        Runtime.getRuntime().halt(failed == 0 ? 0 : 1);
    }

    /** A line of a transcript: for both brokers where `only` is null. */
    private record Line(String only, String reason, String text) {
        private static final Pattern ONE = Pattern.compile("(kafka|ottla) ([a-z?-]+)> ?(.*)");

        static Line of(String text) {
            Matcher one = ONE.matcher(text);
            return one.matches() ? new Line(one.group(1), one.group(2), one.group(3)) : new Line(null, null, text);
        }

        Set<String> label() {
            return only == null ? Set.of() : Set.of(reason);
        }

        @Override
        public String toString() {
            return only == null ? text : only + " " + reason + "> " + text;
        }
    }

    private static final class Block {
        final List<String> comment;
        final String command;
        final boolean mayLeaveOut;
        final List<Line> expected = new ArrayList<>();
        final Map<String, List<String>> found = new LinkedHashMap<>();

        Block(List<String> comment, String line) {
            this.comment = comment;
            mayLeaveOut = line.startsWith("$? ");
            command = line.substring(line.indexOf(' ') + 1);
        }

        void run(String broker, String address) throws Exception {
            List<String> words = words(command);
            List<String> lines = Transcripts.run(words, address);
            String tool = words.get(0);
            // On a slow machine kafka-producer-perf-test says in between how far it is. Keys of Ottla's own come and go.
            lines.removeIf(line -> line.endsWith(" ms max latency."));
            lines.removeIf(line -> line.startsWith("  ottla."));
            lines.replaceAll(line -> mask(tool, line));
            if (mayLeaveOut) lines.removeIf(line -> line.endsWith("UNSUPPORTED"));
            // These print from a map whose order is another one in each JVM, or from a broker's.
            if (lines.contains("Records delete operation completed:") || words.contains("--members")) lines.sort(null);
            // A broker of Kafka's hears of changes from its controller, a moment after the tool has its answer.
            boolean changes = command.matches("kafka-(topics|configs) --(create|delete|alter) .*");
            if (changes && broker.equals("kafka")) Thread.sleep(400);
            found.put(broker, lines);
        }

        void check(String transcript) {
            for (String broker : found.keySet()) {
                List<String> lines = new ArrayList<>();
                for (Line line : expected) {
                    if (line.only() == null || line.only().equals(broker)) lines.add(line.text());
                }
                List<String> printed = found.get(broker);
                if (mayLeaveOut && broker.equals("ottla") && !printed.isEmpty()) {
                    lines.retainAll(printed);
                    lines.sort(null);
                    printed.sort(null);
                }
                Transcripts.check(transcript + ", " + broker + ": " + command, lines, printed);
            }
        }
    }

    private static List<Block> parse(Path path) throws Exception {
        List<Block> blocks = new ArrayList<>();
        List<String> comment = new ArrayList<>();
        for (String line : Files.readAllLines(path)) {
            if (line.startsWith("$ ") || line.startsWith("$? ")) {
                blocks.add(new Block(comment, line));
                comment = new ArrayList<>();
            } else if (line.isEmpty() || line.startsWith("# ")) {
                comment.add(line);
            } else {
                blocks.get(blocks.size() - 1).expected.add(Line.of(line));
            }
        }
        return blocks;
    }

    /** The transcript of what was printed now; where the two differ the labels are still to be given. */
    private static List<String> record(List<Block> blocks) {
        List<String> text = new ArrayList<>();
        for (Block block : blocks) {
            text.addAll(block.comment);
            text.add((block.mayLeaveOut ? "$? " : "$ ") + block.command);
            List<String> kafka = block.found.get("kafka");
            List<String> ottla = block.found.get("ottla");
            if (block.mayLeaveOut) {
                text.addAll(kafka);
                ottla.stream().filter(line -> !kafka.contains(line)).forEach(line -> text.add("ottla ?> " + line));
            } else {
                merge(kafka, ottla, text);
            }
        }
        return text;
    }

    /** Lines that both print, in their order, and between them what only one of the two prints. */
    private static void merge(List<String> kafka, List<String> ottla, List<String> text) {
        int k = 0;
        int o = 0;
        while (k < kafka.size() || o < ottla.size()) {
            if (k < kafka.size() && o < ottla.size() && kafka.get(k).equals(ottla.get(o))) {
                text.add(kafka.get(k++));
                o++;
            } else if (k < kafka.size() && !ottla.subList(o, ottla.size()).contains(kafka.get(k))) {
                text.add("kafka ?> " + kafka.get(k++));
            } else {
                text.add("ottla ?> " + ottla.get(o++));
            }
        }
    }

    private static Set<String> headings(Path path) throws Exception {
        Set<String> headings = new TreeSet<>();
        for (String line : Files.readAllLines(path)) {
            if (line.startsWith("## ")) headings.add(line.substring(3));
        }
        return headings;
    }

    private static void check(String name, Object expected, Object found) {
        if (expected.equals(found)) {
            passed++;
            CONSOLE.println("ok      " + name);
        } else {
            failed++;
            CONSOLE.println("FAILED  " + name + "\n  expected: " + expected + "\n  found:    " + found);
        }
    }

    private static String mask(String tool, String line) {
        if (line.startsWith("[exit ")) return line;
        line = line.replace(folder.toString(), "FOLDER");
        if (MEASURED.containsKey(tool)) line = line.replaceAll(MEASURED.get(tool), "N");
        for (String mask : MASKS.keySet()) line = line.replaceAll(mask, MASKS.get(mask));
        if (tool.equals("kafka-broker-api-versions")) line = line.replaceAll(",$", "");
        return line.stripTrailing();
    }

    /** Words between blanks; what is between single quotes is one word; `@name` is a file of this run. */
    private static List<String> words(String command) {
        List<String> words = new ArrayList<>();
        Matcher word = Pattern.compile("'([^']*)'|@(\\S+)|(\\S+)").matcher(command);
        while (word.find()) {
            if (word.group(1) != null) words.add(word.group(1));
            else if (word.group(2) != null) words.add(folder.resolve(word.group(2)).toString());
            else words.add(word.group(3));
        }
        return words;
    }

    /** What a command prints. */
    private static List<String> run(List<String> words, String address) throws Exception {
        List<String> arguments = new ArrayList<>(words.subList(1, words.size()));
        switch (words.get(0)) {
            case "write":
                Files.write(Path.of(arguments.get(0)), arguments.subList(1, arguments.size()));
                return new ArrayList<>();
            case "produce":
                produce(address, arguments);
                return new ArrayList<>();
            case "join":
                members.put(address + arguments.get(0), new Member(address, arguments));
                return new ArrayList<>();
            case "leave":
                members.remove(address + arguments.get(0)).leave();
                return new ArrayList<>();
            default:
                arguments.addAll(List.of("--bootstrap-server", address));
                String tool = TOOLS.get(words.get(0));
                if (tool == null) throw new IllegalArgumentException("no such tool: " + words);
                // These end their process by themselves, without asking Kafka's Exit.
                return tool.contains(".Verifiable") ? process(tool, arguments) : inside(tool, arguments);
        }
    }

    /** produce TOPIC PARTITION COUNT FIRST_TIMESTAMP: one batch, one record each second, `value 0` and so on. */
    private static void produce(String address, List<String> arguments) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", address, "linger.ms", 10_000,
            "request.timeout.ms", 10_000, "delivery.timeout.ms", 20_000, "max.block.ms", 20_000);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            List<Future<?>> stored = new ArrayList<>();
            String topic = arguments.get(0);
            int partition = Integer.parseInt(arguments.get(1));
            long first = Long.parseLong(arguments.get(3));
            // The first record asks for metadata and a producer id; with linger they still leave as one batch.
            int count = Integer.parseInt(arguments.get(2));
            for (int i = 0; i < count; i++) {
                stored.add(producer.send(new ProducerRecord<>(topic, partition, first + i * 1000L, null, "value " + i)));
            }
            producer.flush();
            for (var answer : stored) answer.get();
        }
    }

    /**
     * join NAME GROUP TOPIC PARTITIONS [INSTANCE]: a member that is there, with so many partitions, until `leave NAME`; it
     * commits nothing. With an instance it is a static one, and the group waits for it when it has left.
     */
    private static final class Member {
        private final CompletableFuture<Void> joined = new CompletableFuture<>();
        private final KafkaConsumer<String, String> consumer;
        private final Thread thread;

        Member(String address, List<String> arguments) throws Exception {
            Map<String, Object> settings = new LinkedHashMap<>(Map.of("bootstrap.servers", address,
                "client.id", arguments.get(0), "group.id", arguments.get(1), "enable.auto.commit", false,
                "heartbeat.interval.ms", 200, "session.timeout.ms", 300_000, "auto.offset.reset", "earliest",
                "partition.assignment.strategy", CooperativeStickyAssignor.class.getName()));
            if (arguments.size() > 4) settings.put("group.instance.id", arguments.get(4));
            int partitions = Integer.parseInt(arguments.get(3));
            consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
            thread = new Thread(() -> read(arguments.get(2), partitions));
            thread.setDaemon(true);
            thread.start();
            joined.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
            // The others have heard of it with their next heartbeats.
            Thread.sleep(1000);
        }

        private void read(String topic, int partitions) {
            try (consumer) {
                consumer.subscribe(List.of(topic));
                while (true) {
                    consumer.poll(Duration.ofMillis(100));
                    if (consumer.assignment().size() == partitions) joined.complete(null);
                }
            } catch (WakeupException leaving) {
                // Closing leaves the group.
            } catch (RuntimeException failure) {
                joined.completeExceptionally(failure);
            }
        }

        void leave() throws Exception {
            consumer.wakeup();
            thread.join(PATIENCE_SECONDS * 1000L);
        }
    }

    private static List<String> inside(String tool, List<String> arguments) throws Exception {
        var stdout = new ByteArrayOutputStream();
        var stderr = new ByteArrayOutputStream();
        out = stdout;
        err = stderr;
        CompletableFuture<Integer> code = new CompletableFuture<>();
        exit = code;
        Thread thread = new Thread(() -> {
            try {
                Class<?> type = Class.forName(tool);
                type.getMethod("main", String[].class).invoke(null, (Object) arguments.toArray(new String[0]));
                code.complete(0);
            } catch (Throwable failure) {
                code.completeExceptionally(failure);
            }
        });
        thread.setDaemon(true);
        thread.start();
        try {
            return printed(stdout, stderr, code.get(PATIENCE_SECONDS, TimeUnit.SECONDS));
        } catch (TimeoutException timeout) {
            return new ArrayList<>(List.of("[not done after " + PATIENCE_SECONDS + " s]"));
        }
    }

    private static List<String> process(String tool, List<String> arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(
            System.getProperty("java.home") + "/bin/java", "-XX:TieredStopAtLevel=1", "-Xmx256m",
            "-Dlog4j2.configurationFile=" + System.getProperty("log4j2.configurationFile"),
            "-cp", System.getProperty("java.class.path"), tool));
        command.addAll(arguments);
        Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        process.getOutputStream().close();
        var stdout = new ByteArrayOutputStream();
        process.getInputStream().transferTo(stdout);
        return printed(stdout, new ByteArrayOutputStream(), process.waitFor());
    }

    private static List<String> printed(ByteArrayOutputStream stdout, ByteArrayOutputStream stderr, int code) {
        List<String> lines = new ArrayList<>(stdout.toString(StandardCharsets.UTF_8).lines().toList());
        // After a wrong argument the tools print all that they have, with an exception where it came from.
        stderr.toString(StandardCharsets.UTF_8).lines()
            .takeWhile(line -> !line.startsWith("Option ") && !line.startsWith("usage: "))
            .filter(line -> !line.startsWith("\tat ") && !line.startsWith("\t... ") && !line.startsWith("Caused by: "))
            .forEach(line -> lines.add("| " + line));
        // Between blocks an empty line means nothing.
        lines.removeIf(line -> line.isBlank());
        if (code != 0) lines.add("[exit " + code + "]");
        return lines;
    }

    /** A stream that can be put behind one that has been given away. */
    private static final class Behind extends OutputStream {
        private final boolean isErr;

        Behind(boolean isErr) {
            this.isErr = isErr;
        }

        private OutputStream behind() {
            return isErr ? err : out;
        }

        @Override
        public void write(int b) throws java.io.IOException {
            behind().write(b);
        }

        @Override
        public void write(byte[] bytes, int from, int length) throws java.io.IOException {
            behind().write(bytes, from, length);
        }
    }
}
