// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Time, and how much of it the store's lock is held.
 *
 * A user-mode kernel is a program, which the machine may stop at any moment, also
 * while it holds a lock.  So what counts there is the processor time of the thread
 * that holds it, which only the machine's own kernel knows.  Elsewhere it is the
 * kernel's clock.  Interrupts are held off meanwhile: their time is not the store's.
 */
#define BENCH_LOCK_ITSELF

#include <linux/bitops.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/time64.h>

#include "bench_lock.h"

/* The machine's numbers for clock_gettime() and its clock */
#define HOST_CLOCK_GETTIME 228
#define HOST_CLOCK_THREAD_CPUTIME 3

struct bench_holds bench_holds;

/**
 * bench_cpu_ns - processor time of the thread that runs this
 *
 * Returns: nanoseconds
 */
u64 bench_cpu_ns(void)
{
	struct timespec64 t;
	long ret;

	if (!IS_ENABLED(CONFIG_UML))
		return ktime_get_ns();
	asm volatile("syscall" : "=a" (ret)
		     : "0" (HOST_CLOCK_GETTIME), "D" (HOST_CLOCK_THREAD_CPUTIME), "S" (&t)
		     : "rcx", "r11", "memory");
	return ret ? 0 : t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static unsigned int bench_length(u64 ns)
{
	unsigned int order;

	if (ns < 8)
		return ns;
	order = fls64(ns) - 1;
	return min(8 + (order - 3) * 8 + (unsigned int)(ns >> (order - 3) & 7),
		   BENCH_HOLDS - 1U);
}

/**
 * bench_hold_min - how long a class of holds lasts
 * @length: the class
 *
 * Returns: nanoseconds, at least
 */
u64 bench_hold_min(unsigned int length)
{
	if (length < 8)
		return length;
	return (u64)(8 + length % 8) << (length / 8 - 1);
}

/**
 * bench_lock - take a lock of the store's
 * @lock: the lock
 */
void bench_lock(spinlock_t *lock)
{
	unsigned long flags;

	if (READ_ONCE(bench_holds.lock) != lock) {
		spin_lock(lock);
		return;
	}
	local_irq_save(flags);
	spin_lock(lock);
	bench_holds.flags = flags;
	bench_holds.since = bench_cpu_ns();
}

/**
 * bench_unlock - give back a lock of the store's
 * @lock: the lock
 */
void bench_unlock(spinlock_t *lock)
{
	unsigned long flags;
	u64 ns;

	if (READ_ONCE(bench_holds.lock) != lock || !bench_holds.since) {
		spin_unlock(lock);
		return;
	}
	ns = bench_cpu_ns() - bench_holds.since;
	bench_holds.since = 0;
	bench_holds.count[bench_length(ns)]++;
	bench_holds.longest = max(bench_holds.longest, ns);
	flags = bench_holds.flags;
	spin_unlock(lock);
	local_irq_restore(flags);
}
