import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32;
import vigil.Heartbeat;

/**
 * A housekeeper with one thread and one activity for each of its jobs, any of which can be wedged while the others go on;
 * see ../README.md.
 *
 * <pre>
 * javac -d classes ../../../heartbeat/java/vigil/Heartbeat.java Housekeeper.java
 * java -cp classes Housekeeper
 * </pre>
 */
public final class Housekeeper {
    private static final long PAUSE_MS = 20; // the longest between two rounds of a job

    /** Held by a thread that will not let go: the bug of the demonstration. */
    private static final Object BROKEN = new Object();

    public static void main(String[] arguments) throws Exception {
        String[] names = arguments.length > 0 ? arguments : new String[] {"reader=2000", "indexer=2000", "flusher=2000", "sweeper"};
        hold(BROKEN);
        Map<String, Job> jobs = new LinkedHashMap<>();
        for (String name : names) {
            Job job = new Job(name);
            jobs.put(job.getName(), job);
            job.start();
            job.claimed.await();
        }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(jobs)));
        notifyReady();
        System.out.println("ready");
        obey(jobs);
    }

    /** Starts a thread that locks an object and keeps it. */
    private static void hold(Object lock) throws InterruptedException {
        CountDownLatch held = new CountDownLatch(1);
        Thread holder = new Thread(() -> {
            synchronized (lock) {
                held.countDown();
                for (;;) {
                    try {
                        Thread.sleep(Long.MAX_VALUE);
                    } catch (InterruptedException e) {
                        // It keeps the lock whatever happens.
                    }
                }
            }
        }, "holder");
        holder.setDaemon(true);
        holder.start();
        held.await();
    }

    /** Tells the supervisor. Java has no datagram sockets of the unix family; systemd-notify(1) has. */
    private static void notifyReady() throws InterruptedException {
        if (System.getenv("NOTIFY_SOCKET") == null) {
            return;
        }
        try {
            new ProcessBuilder("systemd-notify", "--ready").inheritIO().start().waitFor();
        } catch (IOException e) {
            System.err.println("cannot notify the supervisor: " + e.getMessage());
        }
    }

    /** Is run by the JVM at TERM. */
    private static void stop(Map<String, Job> jobs) {
        for (Job job : jobs.values()) {
            job.orders.add("stop");
        }
        for (Job job : jobs.values()) {
            try {
                job.join(); // for ever, if it is wedged: then only a KILL helps
            } catch (InterruptedException e) {
                return;
            }
        }
        System.out.flush();
        Runtime.getRuntime().halt(0); // the end that was asked for, not 143
    }

    /** Reads orders, "VERB NAME" on a line each, from the FIFO that CONTROL names or else from standard input. */
    private static void obey(Map<String, Job> jobs) throws IOException, InterruptedException {
        String control = System.getenv("CONTROL");
        // For writing too: so it never ends.
        FileDescriptor from = control == null ? FileDescriptor.in : new RandomAccessFile(control, "rw").getFD();
        InputStream stream = new FileInputStream(from);
        BufferedReader lines = new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ", 2);
            Job job = words.length == 2 ? jobs.get(words[1]) : null;
            if (job == null) {
                System.err.println("no job in: " + line);
                continue;
            }
            job.orders.add(words[0]);
        }
        for (Job job : jobs.values()) {
            job.join();
        }
    }

    /** Something that the housekeeper does again and again. */
    private static final class Job extends Thread {
        final BlockingQueue<String> orders = new LinkedBlockingQueue<>();
        final CountDownLatch claimed = new CountDownLatch(1);
        private final Duration timeout;
        private final CRC32 sum = new CRC32();
        private Heartbeat.Activity activity;

        /** Makes the job NAME, or NAME=MILLISECONDS with a timeout of its own. */
        Job(String argument) {
            super(argument.split("=")[0]); // which is what /proc and the verdict call the thread, up to 15 bytes
            String[] words = argument.split("=");
            timeout = Duration.ofMillis(words.length > 1 ? Long.parseLong(words[1]) : 0);
        }

        @Override
        public void run() {
            activity = claim();
            claimed.countDown();
            try {
                boolean resting = false;
                for (;;) {
                    if (!resting) {
                        try (Heartbeat.Span busy = activity.busy()) {
                            work();
                        }
                    }
                    String order = orders.poll(PAUSE_MS, TimeUnit.MILLISECONDS);
                    if (order == null) {
                        continue;
                    }
                    switch (order) {
                        case "wedge":
                            wedge();
                            break;
                        case "rest":
                        case "work":
                            resting = order.equals("rest");
                            System.out.println(getName() + " has to " + order);
                            break;
                        case "leave":
                            activity.release();
                            System.out.println(getName() + " has left");
                            return;
                        case "stop":
                            activity.stopping();
                            work();
                            activity.release();
                            return;
                        default:
                            System.err.println("no order: " + order);
                    }
                }
            } catch (InterruptedException e) {
                activity.release();
            }
        }

        private Heartbeat.Activity claim() {
            try {
                return Heartbeat.claim(getName(), timeout);
            } catch (IOException e) {
                System.err.println("unwatched: " + e.getMessage());
                return Heartbeat.unwatched();
            }
        }

        /** One round: some checksums, and a beat after each. */
        private void work() {
            byte[] block = new byte[4096];
            for (int step = 0; step < 16; step++) {
                sum.update(block);
                activity.beat();
            }
        }

        private void wedge() {
            activity.busy();
            System.out.println(getName() + " is wedged");
            synchronized (BROKEN) { // never gets it
                System.out.println("impossible");
            }
        }
    }
}
