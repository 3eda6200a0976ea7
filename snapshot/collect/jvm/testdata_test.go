package jvm

const deadlockJava = `
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.*;
public class Deadlock {
  static final Object a = new Object(), b = new Object();
  static final ReentrantLock left = new ReentrantLock(), right = new ReentrantLock();
  static void grab(CountDownLatch both, Object first, Object second) {
    synchronized (first) {
      meet(both);
      synchronized (second) { }
    }
  }
  static void take(CountDownLatch both, Lock first, Lock second) {
    first.lock();
    meet(both);
    second.lock();
  }
  static void meet(CountDownLatch both) {
    both.countDown();
    try { both.await(); } catch (InterruptedException e) { throw new RuntimeException(e); }
  }
  static Thread start(String name, Runnable r) { Thread t = new Thread(r, name); t.setDaemon(true); t.start(); return t; }
  static void blocked(Thread t) throws Exception { while (t.getState() != Thread.State.BLOCKED) Thread.sleep(1); }
  static void behind() { synchronized (a) { } }
  public static void main(String[] args) throws Exception {
    CountDownLatch one = new CountDownLatch(2), two = new CountDownLatch(2);
    Thread ab = start("grabs a \"then\" b", () -> grab(one, a, b));
    Thread ba = start("grabs b then a", () -> grab(one, b, a));
    start("takes left", () -> take(two, left, right));
    start("takes right", () -> take(two, right, left));
    blocked(ab); blocked(ba);
    while (!left.hasQueuedThreads() || !right.hasQueuedThreads()) Thread.sleep(1);
    Thread[] all = new Thread[Integer.parseInt(args[0])];
    for (int i = 0; i < all.length; i++) all[i] = start("behind-" + i, Deadlock::behind);
    for (Thread t : all) blocked(t);
    System.out.println("ready");
    System.out.flush();
    new CountDownLatch(1).await();
  }
}
`

// spinJava never comes to a safepoint, with -XX:-UseCountedLoopSafepoints.
const spinJava = `
public class Spin {
  static int spin(int n) { int s = 0; for (int i = 0; i < n; i++) s += (i ^ s) * 31; return s; }
  public static void main(String[] args) throws Exception {
    for (int i = 0; i < 30000; i++) spin(100);
    Thread t = new Thread(() -> {
      System.out.println("ready");
      System.out.flush();
      long s = 0;
      while (true) s += spin(Integer.MAX_VALUE);
    }, "never polls");
    t.start();
    t.join();
  }
}
`
