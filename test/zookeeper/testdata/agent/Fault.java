import java.util.ArrayList;
import java.util.List;

/**
 * Fault breaks threads of the JVM that it is loaded into, with
 * "jcmd PID JVMTI.agent_load fault.jar VERB:PREFIX". The prefix is that of the
 * names of threads, as jstack shows them; that there is none is an error.
 */
public final class Fault {
    private static final List<byte[]> held = new ArrayList<>();

    private Fault() {}

    public static void agentmain(String argument) {
        String[] parts = argument.split(":", 2);
        String verb = parts[0];
        if (verb.equals("exhaust")) {
            exhaust();
            return;
        }
        int found = 0;
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().startsWith(parts[1])) {
                found++;
                apply(verb, thread);
            }
        }
        if (found == 0) {
            throw new IllegalStateException("no thread begins with " + parts[1]);
        }
    }

    @SuppressWarnings({"deprecation", "removal"})
    private static void apply(String verb, Thread thread) {
        switch (verb) {
            case "suspend":
                thread.suspend();
                break;
            case "resume":
                thread.resume();
                break;
            case "silence": // as in ZooKeeper 3.4: a thread dies and nobody is told
                thread.setUncaughtExceptionHandler((t, e) -> {});
                break;
            case "stop": // dies as soon as it runs
                thread.stop();
                break;
            default:
                throw new IllegalArgumentException(verb);
        }
    }

    /** Keeps memory until there is none left, in a thread of its own. */
    private static void exhaust() {
        Thread eater = new Thread(() -> {
            for (int size = 1 << 20; size > 16; size /= 2) {
                try {
                    while (true) {
                        held.add(new byte[size]);
                    }
                } catch (OutOfMemoryError e) {
                    // the next smaller ones
                }
            }
            synchronized (held) {
                while (true) {
                    try {
                        held.wait();
                    } catch (InterruptedException e) {
                        // it stays
                    }
                }
            }
        }, "eater");
        eater.setDaemon(true);
        eater.start();
    }
}
