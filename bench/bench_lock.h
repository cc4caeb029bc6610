/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * How long the store's lock is held: this comes before all else that the store
 * includes, and puts itself between it and spin_lock().
 */
#ifndef BENCH_LOCK_H
#define BENCH_LOCK_H

#include <linux/spinlock.h>

/* Holds, by their length: each power of two nanoseconds has eight classes. */
#define BENCH_HOLDS 320

/**
 * struct bench_holds - for how long the lock was held
 * @lock: which one is watched, NULL if none is
 * @since: when it was taken, in nanoseconds of its holder's processor time
 * @flags: the holder's interrupts
 * @count: how many holds there were of each length
 * @longest: of all, nanoseconds
 */
struct bench_holds {
	spinlock_t *lock;	/* somebody else's */
	u64 since;
	unsigned long flags;
	u64 count[BENCH_HOLDS];
	u64 longest;
};

extern struct bench_holds bench_holds;

u64 bench_cpu_ns(void);
u64 bench_hold_min(unsigned int length);

void bench_lock(spinlock_t *lock);
void bench_unlock(spinlock_t *lock);

#ifndef BENCH_LOCK_ITSELF
#define spin_lock(lock) bench_lock(lock)
#define spin_unlock(lock) bench_unlock(lock)
#endif

#endif
