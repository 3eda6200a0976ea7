import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import vigil.Heartbeat;

/** What a program may do with the class, and what it may do wrong. The page has three slots, or there is none. */
public final class Client {
    public static void main(String[] arguments) throws Exception {
        Heartbeat page;
        try {
            page = Heartbeat.inherited();
        } catch (IOException e) {
            System.err.println(e.getMessage());
            System.exit(3);
            return;
        }
        refused(() -> Heartbeat.claim("", Duration.ZERO), "name");
        refused(() -> Heartbeat.claim("x", Duration.ofSeconds(-1)), "timeout");
        Heartbeat.Activity first = Heartbeat.claim("first-ä", Duration.ofSeconds(2));
        Heartbeat.Activity second = Heartbeat.claim("0123456789012345678901234567890ä", Duration.ZERO);
        Heartbeat.Activity third = Heartbeat.claim("third", Duration.ofDays(1_000_000));
        if (page.slots() > 0) {
            refused(() -> Heartbeat.claim("more", Duration.ZERO), "every slot is taken: the page has 3");
        }
        shared(third);
        try (Heartbeat.Span busy = first.busy()) {
            // Nothing to do.
        }
        first.busy();
        first.beat();
        second.idle();
        second.stopping();
        second.here();
        third.release();
        third.release();
        Heartbeat.claim("fourth", Duration.ZERO);
        third.beat();
        third.busy();
        third.here();
        third.release();
        System.out.println(Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName());
    }

    private interface Claim {
        void make() throws IOException;
    }

    private static void refused(Claim claim, String why) {
        try {
            claim.make();
        } catch (IOException | IllegalArgumentException e) {
            if (e.getMessage().contains(why)) {
                return;
            }
            throw new IllegalStateException(e);
        }
        throw new IllegalStateException("not refused: " + why);
    }

    private static void shared(Heartbeat.Activity activity) throws InterruptedException {
        Thread[] threads = new Thread[4];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(() -> {
                for (int round = 0; round < 1000; round++) {
                    activity.busy();
                    activity.beat();
                    activity.idle();
                }
            });
            threads[i].start();
        }
        for (Thread t : threads) {
            t.join();
        }
    }
}
