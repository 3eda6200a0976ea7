package vigil;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;

/**
 * Activities for Java programs: tell vigil what the program is doing and that it is getting on.
 *
 * <pre>{@code
 * Heartbeat.Activity flusher = Heartbeat.claim("flusher", Duration.ofSeconds(2));
 * while (running) {
 *     Batch batch = batches.take();
 *     try (var busy = flusher.busy()) {
 *         for (Row row : batch) {
 *             write(row);
 *             flusher.beat();
 *         }
 *     }
 * }
 * flusher.release();
 * }</pre>
 *
 * An idle activity is healthy for as long as it likes. A busy one that does not beat within its timeout is a hang: vigil
 * takes the stacks of the program and restarts it. Beat where work is done, not from a timer beside it.
 *
 * <p>Without vigil (VIGIL_HEARTBEAT_FD is not set) every activity is one that nobody watches, and nothing fails. This
 * file needs Linux, Java 11 or later and nothing else.
 *
 * <p>A program that is started by this one finds VIGIL_HEARTBEAT_FD in its environment, but not the descriptor, since Java
 * closes it: remove the variable from {@link ProcessBuilder#environment()} when that program uses activities too.
 */
public final class Heartbeat {
    private static final String VARIABLE = "VIGIL_HEARTBEAT_FD";

    // Layout version 1; the same numbers are in docs/heartbeat.md.
    private static final byte[] MAGIC = "VIGILHB\0".getBytes(StandardCharsets.US_ASCII);
    private static final int VERSION = 1;
    private static final int HEADER_SIZE = 64;
    private static final int SLOT_SIZE = 64;
    private static final int MAX_SLOTS = 1 << 20;
    private static final int MAX_NAME = 32;

    private static final int TIMEOUT = 8;
    private static final int PID = 16; // and the tid in the next 4 bytes: written as one
    private static final int SERIAL = 24;
    private static final int NAME = 32;

    private static final int FREE = 0;
    private static final int CLAIMED = 1;
    private static final int IDLE = 2;
    private static final int BUSY = 3;
    private static final int STOPPING = 4;
    private static final long ONE_BEAT = 1 << 8;

    private static final VarHandle WORD = MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.nativeOrder());

    private final ByteBuffer page;
    private final int slots;

    private Heartbeat(ByteBuffer page, int slots) {
        this.page = page;
        this.slots = slots;
    }

    /** Claims an activity on the page that vigil gave to this program; see {@link #claimOn}. */
    public static Activity claim(String name, Duration timeout) throws IOException {
        return inherited().claimOn(name, timeout);
    }

    private static Heartbeat inherited;

    /**
     * Returns the page that vigil gave to this program, mapped at the first call. Without VIGIL_HEARTBEAT_FD in the
     * environment it has no slots. An IOException says why the variable does not lead to a page.
     */
    public static synchronized Heartbeat inherited() throws IOException {
        if (inherited == null) {
            inherited = attach(System.getenv(VARIABLE));
        }
        return inherited;
    }

    private static Heartbeat attach(String fd) throws IOException {
        if (fd == null) {
            return new Heartbeat(null, 0);
        }
        if (!fd.matches("[0-9]{1,9}")) {
            throw new IOException("cannot use " + VARIABLE + "=" + fd + ": not a descriptor number");
        }
        try {
            return map(fd);
        } catch (IOException | InvalidPathException e) {
            throw new IOException("cannot use " + VARIABLE + "=" + fd + ": " + e.getMessage(), e);
        }
    }

    /** Java cannot map a number, but it can open what is behind it once more. */
    private static Heartbeat map(String fd) throws IOException {
        Path path = Path.of("/proc/self/fd", fd);
        if (!Files.isSymbolicLink(path)) {
            throw new IOException("the descriptor is not open (closed on the way from vigil?)");
        }
        if (!Files.readSymbolicLink(path).toString().startsWith("/memfd:")) {
            throw new IOException("the descriptor is no memfd");
        }
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            long size = file.length();
            if (size < HEADER_SIZE + SLOT_SIZE || size > HEADER_SIZE + (long) MAX_SLOTS * SLOT_SIZE) {
                throw new IOException("no header: the page has " + size + " bytes");
            }
            ByteBuffer page = file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, size).order(ByteOrder.nativeOrder());
            return new Heartbeat(page, check(page, size));
        }
    }

    /** Returns the number of slots. */
    private static int check(ByteBuffer page, long size) throws IOException {
        byte[] magic = new byte[MAGIC.length];
        page.duplicate().get(magic);
        if (!Arrays.equals(magic, MAGIC)) {
            throw new IOException("no page of activities: the magic is missing");
        }
        int version = page.getInt(8);
        if (version != VERSION) {
            throw new IOException("unknown layout version " + version + " (this class knows " + VERSION + ")");
        }
        int header = page.getInt(12);
        int slot = page.getInt(16);
        int count = page.getInt(20);
        long total = page.getLong(24);
        if (header != HEADER_SIZE || slot != SLOT_SIZE || count < 1 || count > MAX_SLOTS
                || total != HEADER_SIZE + (long) count * SLOT_SIZE || total != size) {
            throw new IOException("sizes do not agree: " + size + " bytes, header says " + header + " + " + count
                    + " slots of " + slot + " = " + total);
        }
        return count;
    }

    /** Returns an activity that nobody watches, for a program that goes on after an IOException. */
    public static Activity unwatched() {
        return new Activity(Place.nowhere());
    }

    /** Says how many activities the page has room for; 0 when nobody watches. */
    public int slots() {
        return slots;
    }

    /**
     * Takes a free slot for an activity of the calling thread, which is idle at first. A timeout of zero means the one of
     * the service. A name has at most 32 bytes of UTF-8; a longer one is cut at a character.
     *
     * @throws IOException when every slot is taken. Slots of processes that are gone are not looked for: Java cannot tell
     *     them from those that are hidden from it.
     */
    public Activity claimOn(String name, Duration timeout) throws IOException {
        if (name.isEmpty()) {
            throw new IllegalArgumentException("cannot claim an activity: it needs a name");
        }
        if (timeout.isNegative()) {
            throw new IllegalArgumentException("cannot claim activity " + name + " with timeout " + timeout);
        }
        if (slots == 0) {
            return unwatched();
        }
        for (int i = 0; i < slots; i++) {
            int base = HEADER_SIZE + i * SLOT_SIZE;
            if (WORD.compareAndSet(page, base, (long) FREE, (long) CLAIMED)) {
                fill(base, name, timeout);
                return new Activity(new Place(page, base));
            }
        }
        throw new IOException("cannot claim activity " + name + ": every slot is taken: the page has " + slots
                + " (heartbeat.activities of the service)");
    }

    /** Writes the serial first and the pulse last: a reader relies on both. */
    private void fill(int base, String name, Duration timeout) {
        int serial = page.getInt(base + SERIAL) + 1;
        WORD.setRelease(page, base + SERIAL, pair(serial, 0));
        WORD.setRelease(page, base + TIMEOUT, nanoseconds(timeout));
        WORD.setRelease(page, base + PID, thread());
        ByteBuffer words = ByteBuffer.wrap(cut(name)).order(ByteOrder.nativeOrder());
        for (int i = 0; i < MAX_NAME; i += 8) {
            WORD.setRelease(page, base + NAME + i, words.getLong(i));
        }
        WORD.setRelease(page, base, ONE_BEAT | IDLE);
    }

    private static long nanoseconds(Duration timeout) {
        return timeout.compareTo(Duration.ofDays(365)) > 0 ? Duration.ofDays(365).toNanos() : timeout.toNanos();
    }

    /** Returns MAX_NAME bytes, cut at a character and padded with zeros. */
    private static byte[] cut(String name) {
        byte[] raw = name.getBytes(StandardCharsets.UTF_8);
        int length = raw.length;
        if (length > MAX_NAME) {
            length = MAX_NAME;
            while (length > 0 && (raw[length] & 0xc0) == 0x80) {
                length--;
            }
        }
        return Arrays.copyOf(Arrays.copyOf(raw, length), MAX_NAME);
    }

    /** Returns two numbers of 32 bits as they lie in memory. */
    private static long pair(int first, int second) {
        return ByteBuffer.allocate(8).order(ByteOrder.nativeOrder()).putInt(first).putInt(second).getLong(0);
    }

    /** Returns this process and thread as a slot has them; of a virtual thread it is the one that carries it now. */
    private static long thread() {
        int tid = 0;
        try {
            tid = Integer.parseInt(Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName().toString());
        } catch (IOException | NumberFormatException e) {
            // Without /proc the thread is unknown, which is 0.
        }
        return pair((int) ProcessHandle.current().pid(), tid);
    }

    /** Where an activity writes. */
    private static final class Place {
        final ByteBuffer page;
        final int base;

        Place(ByteBuffer page, int base) {
            this.page = page;
            this.base = base;
        }

        /** Returns a slot of its own that nobody reads. */
        static Place nowhere() {
            return new Place(ByteBuffer.allocateDirect(SLOT_SIZE).order(ByteOrder.nativeOrder()), 0);
        }
    }

    /** Ends a span of work: {@link Activity#busy} returns it for try-with-resources. */
    public interface Span extends AutoCloseable {
        @Override
        void close();
    }

    /** One kind of work that is watched. It belongs to one thread at a time. */
    public static final class Activity {
        private final Span idle = this::idle;
        private volatile Place place;

        private Activity(Place place) {
            this.place = place;
        }

        /** The work gets on, at the price of one store. The state stays as it is. */
        public void beat() {
            Place p = place;
            WORD.setRelease(p.page, p.base, (long) WORD.getOpaque(p.page, p.base) + ONE_BEAT);
        }

        /**
         * There is work: from now on the activity must beat within its timeout.
         *
         * @return what calls {@link #idle} at the end of a try-with-resources; it may be ignored
         */
        public Span busy() {
            change(BUSY);
            return idle;
        }

        /** There is nothing to do. An idle activity is healthy. */
        public void idle() {
            change(IDLE);
        }

        /** The activity winds up because the program is about to end. */
        public void stopping() {
            change(STOPPING);
        }

        /** Records the calling thread as the one that does the work now. */
        public void here() {
            Place p = place;
            WORD.setRelease(p.page, p.base + PID, thread());
        }

        /** Gives the slot back, once no thread uses the activity; what is done afterwards has no effect. */
        public synchronized void release() {
            Place p = place;
            place = Place.nowhere();
            WORD.setRelease(p.page, p.base, (long) FREE);
        }

        private void change(int state) {
            Place p = place;
            long beats = ((long) WORD.getOpaque(p.page, p.base) >>> 8) + 1;
            WORD.setRelease(p.page, p.base, beats << 8 | state);
        }
    }
}
