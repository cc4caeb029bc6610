// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Times the store alone, without a driver, a host or pages: loaded into a
 * user-mode kernel, which runs at the machine's speed.  Prints lines of JSON and
 * refuses to stay.
 *
 * What is timed is what a create and a close do: to take an entry and to put it
 * back.  The host answers at once.
 */

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "bench_lock.h"
#include "virtgpu_bo_cache.h"

#define ROUNDS 9
#define CYCLES 100000
#define SHAPES 64
#define CONSTANT_HOLDS 50000
#define CONSTANT_WORK 5000

static char *cases = "all";
module_param(cases, charp, 0);
MODULE_PARM_DESC(cases, "\"holds\": only how long the lock is held");

static struct virtgpu_bo_cache cache;
static struct virtgpu_bo_owner *owner;
static ktime_t freed;

static void bench_free(struct virtgpu_bo_entry *entry)
{
	u64 released = virtgpu_bo_cache_release_take(&cache, entry);

	virtgpu_bo_owner_put(entry->owner);
	virtgpu_bo_group_put(entry->group);
	kfree(entry);
	virtgpu_bo_cache_release_end(&cache, released);
}

static void bench_release(struct virtgpu_bo_cache *cache,
			  struct virtgpu_bo_entry *entry,
			  enum virtgpu_bo_tier tier)
{
	bool ours = virtgpu_bo_cache_answered(cache, entry);

	if (entry->keep_pages) {
		virtgpu_bo_cache_release_end
			(cache, virtgpu_bo_cache_release_take(cache, entry));
		if (virtgpu_bo_cache_put(cache, entry, VIRTGPU_BO_TIER_PAGES,
					 true))
			return;
	}
	if (tier != VIRTGPU_BO_TIER_RESOURCE || !ours ||
	    !virtgpu_bo_cache_reap(cache, entry))
		bench_free(entry);
}

static void bench_flush(struct virtgpu_bo_cache *cache)
{
}

static void bench_entry(struct virtgpu_bo_entry *entry)
{
}

static bool bench_claim(struct virtgpu_bo_entry *entry)
{
	return true;
}

static const struct virtgpu_bo_cache_ops bench_ops = {
	.claim = bench_claim,
	.release = bench_release,
	.flush = bench_flush,
	.drop = bench_entry,
	.zero = bench_entry,
};

/* Textures of many shapes and sizes; N is which */
static struct virtgpu_bo_ident bench_ident(unsigned int n)
{
	return (struct virtgpu_bo_ident) {
		.width = 64,
		.height = 16 * (1 + n % SHAPES),
		.kind = VIRTGPU_BO_KIND_3D,
		.format = 1,
		.target = 2,
		.bind = 2,
		.depth = 1,
		.array_size = 1,
	};
}

static u64 bench_size(unsigned int n)
{
	return (u64)(1 + n % SHAPES) * PAGE_SIZE;
}

/* Each a little younger than the last; to ask for the time is dear here. */
static bool bench_put(struct virtgpu_bo_entry *entry, enum virtgpu_bo_tier tier)
{
	freed = ktime_add_ns(freed, 1);
	entry->freed = freed;
	return virtgpu_bo_cache_put(&cache, entry, tier, true);
}

/* COUNT entries, of all shapes, enter TIER. */
static int bench_fill(unsigned int count, enum virtgpu_bo_tier tier)
{
	struct virtgpu_bo_entry *entry;
	unsigned int i;

	freed = ktime_get();
	for (i = 0; i < count; i++) {
		entry = kzalloc_obj(*entry);
		if (!entry)
			return -ENOMEM;
		entry->ident = bench_ident(i);
		entry->size = bench_size(i);
		entry->group = virtgpu_bo_group_get(&cache);
		entry->owner = owner;
		kref_get(&owner->ref);
		virtgpu_bo_group_wake(entry->group);
		if (!bench_put(entry, tier)) {
			bench_free(entry);
			return -EINVAL;
		}
	}
	return 0;
}

static struct virtgpu_bo_entry *bench_take(enum virtgpu_bo_tier tier,
					   struct virtgpu_bo_group *group,
					   unsigned int n)
{
	struct virtgpu_bo_ident ident = bench_ident(n);

	if (tier == VIRTGPU_BO_TIER_PAGES)
		return virtgpu_bo_cache_take_pages(&cache, group,
						   bench_size(n), true);
	return virtgpu_bo_cache_take_resource(&cache, owner, group, &ident,
					      bench_size(n));
}

/* Nanoseconds to take an entry and put it back, times CYCLES, or 0 */
static u64 bench_cycles(enum virtgpu_bo_tier tier, unsigned int shapes)
{
	struct virtgpu_bo_group *group = virtgpu_bo_group_get(&cache);
	struct virtgpu_bo_entry *entry;
	u64 start = bench_cpu_ns();
	unsigned int i;

	for (i = 0; i < CYCLES; i++) {
		entry = bench_take(tier, group, i % shapes);
		if (!entry || !bench_put(entry, tier)) {
			virtgpu_bo_group_put(group);
			return 0;
		}
	}
	virtgpu_bo_group_put(group);
	return bench_cpu_ns() - start;
}

static void bench_drain(void)
{
	virtgpu_bo_cache_evict(&cache, VIRTGPU_BO_EVICT_ALL, NULL,
			       VIRTGPU_BO_EVICT_ADMIN);
	while (!virtgpu_bo_cache_idle(&cache))
		msleep(20);
}

static int bench_held(enum virtgpu_bo_tier tier, const char *name,
		      unsigned int held)
{
	unsigned int round;
	int ret = bench_fill(held, tier);
	u64 ns;

	for (round = 0; !ret && round < ROUNDS; round++) {
		ns = bench_cycles(tier, min(held, SHAPES));
		if (!ns)
			ret = -EINVAL;
		pr_info("{\"case\": \"store\", \"tier\": \"%s\", \"entries\": %u, \"round\": %u, \"cycle_ns\": %llu.%02llu}\n",
			name, held, round, ns / CYCLES,
			ns * 100 / CYCLES % 100);
	}
	bench_drain();
	return ret;
}

static u64 bench_quantile(u64 all, u64 of, u64 in)
{
	unsigned int length;
	u64 seen = 0;

	for (length = 0; length < BENCH_HOLDS - 1; length++) {
		seen += bench_holds.count[length];
		if (seen * in >= all * of)
			break;
	}
	return bench_hold_min(length);
}

static void bench_watch(void)
{
	memset(&bench_holds, 0, sizeof(bench_holds));
	WRITE_ONCE(bench_holds.lock, &cache.lock);
}

static void bench_holds_print(const char *when, unsigned int entries)
{
	unsigned int i;
	u64 all = 0;

	WRITE_ONCE(bench_holds.lock, NULL);
	for (i = 0; i < BENCH_HOLDS; i++)
		all += bench_holds.count[i];
	pr_info("{\"case\": \"holds\", \"when\": \"%s\", \"entries\": %u, \"holds\": %llu, \"median_ns\": %llu, \"p999_ns\": %llu, \"longest_ns\": %llu}\n",
		when, entries, all, bench_quantile(all, 1, 2),
		bench_quantile(all, 999, 1000), bench_holds.longest);
}

/* While all that is held gets too old at once */
static int bench_expire(unsigned int entries)
{
	int ret = bench_fill(entries, VIRTGPU_BO_TIER_RESOURCE);

	msleep(20);
	bench_watch();
	virtgpu_bo_cache_set_timeout(&cache, 10);
	while (!virtgpu_bo_cache_idle(&cache))
		msleep(20);
	bench_holds_print("expiry", entries);
	virtgpu_bo_cache_set_timeout(&cache, VIRTGPU_BO_TIMEOUT_MAX_MS);
	return ret;
}

static int bench_purge(unsigned int entries)
{
	int ret = bench_fill(entries, VIRTGPU_BO_TIER_RESOURCE);

	bench_watch();
	bench_drain();
	bench_holds_print("purge", entries);
	return ret;
}

/* A file is closed that had freed its BOs before others freed as many */
static int bench_demote(unsigned int entries)
{
	int ret = bench_fill(entries / 2, VIRTGPU_BO_TIER_RESOURCE);

	if (!ret)
		ret = bench_fill(entries / 2, VIRTGPU_BO_TIER_PAGES);
	bench_watch();
	virtgpu_bo_cache_close_owner(&cache, owner);
	while (READ_ONCE(cache.held_bos[VIRTGPU_BO_TIER_PAGES]) < entries)
		msleep(20);
	bench_holds_print("demotion", entries);
	owner->closed = false;
	bench_drain();
	return ret;
}

/*
 * Always the same is done, which takes about as long as the longest hold of the others:
 * what some of these take longer than most, the machine takes.
 */
static void bench_constant(void)
{
	unsigned int i, k;

	bench_watch();
	for (i = 0; i < CONSTANT_HOLDS; i++) {
		spin_lock(&cache.lock);
		for (k = 0; k < CONSTANT_WORK; k++)
			barrier();
		spin_unlock(&cache.lock);
	}
	bench_holds_print("constant", 0);
}

static int bench_store(void)
{
	static const unsigned int held[] = { 10, 100, 1000, 10000, 100000 };
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < ARRAY_SIZE(held); i++) {
		ret = bench_held(VIRTGPU_BO_TIER_RESOURCE, "resource", held[i]);
		if (!ret)
			ret = bench_held(VIRTGPU_BO_TIER_PAGES, "pages",
					 held[i]);
	}
	return ret;
}

static int bench_lock_holds(void)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < 3; i++) {
		ret = bench_expire(100000);
		if (!ret)
			ret = bench_purge(100000);
		if (!ret)
			ret = bench_demote(100000);
		bench_constant();
	}
	return ret;
}

static int __init bench_init(void)
{
	int ret = virtgpu_bo_cache_init(&cache, &bench_ops, 0);

	if (ret)
		return ret;
	owner = virtgpu_bo_owner_new(1);
	if (owner) {
		virtgpu_bo_cache_set_limit(&cache, U64_MAX / 2);
		virtgpu_bo_cache_set_timeout(&cache,
					     VIRTGPU_BO_TIMEOUT_MAX_MS);
		virtgpu_bo_cache_set_enabled(&cache, true);
		if (strcmp(cases, "holds"))
			ret = bench_store();
		if (!ret)
			ret = bench_lock_holds();
		virtgpu_bo_cache_kill(&cache);
		virtgpu_bo_owner_put(owner);
	}
	virtgpu_bo_cache_fini(&cache);
	pr_info("{\"case\": \"end\", \"error\": %d}\n", ret);
	/* There is nothing to stay for. */
	return -ECANCELED;
}
module_init(bench_init);

MODULE_DESCRIPTION("Times the store of freed buffer objects");
MODULE_LICENSE("Dual MIT/GPL");
