// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KUnit tests of the store of freed BOs.  The driver's side is played by the
 * tests: a host that answers at once, or not until it is told to.
 */

#include <kunit/test.h>

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "../virtgpu_bo_cache.h"

#define TIMEOUT_MS 40
#define LIMIT (64ULL << 20)

/* How long to wait for what happens by itself; only a hang takes so long. */
#define HANG_MS 10000

/**
 * struct fake_bo - a BO without a driver
 * @entry: the part under test
 * @link: in &fake_device.waiting
 * @busy: it can't be dropped now
 * @asked: how often that was asked
 * @dropping: it is being dropped, not freed
 * @dropped: it was
 */
struct fake_bo {
	struct virtgpu_bo_entry entry;
	struct list_head link;
	bool busy;
	unsigned int asked;
	bool dropping;
	bool dropped;
};

/**
 * struct fake_device - the driver's side and the host
 * @cache: under test
 * @lock: for @waiting
 * @waiting: BOs whose release the host has not answered
 * @deaf: it does not answer
 * @bos: how many there are
 * @told: releases sent
 * @most: of those, the most without an answer at a time
 * @flushes: batches of them
 * @zeroed: calls of the zero function
 * @dropped: calls of the drop function
 * @zero_ms: how long zeroing takes
 */
struct fake_device {
	struct virtgpu_bo_cache cache;
	spinlock_t lock;	/* protects @waiting */
	struct list_head waiting;
	bool deaf;
	atomic_t bos;
	atomic_t told;
	unsigned int most;
	atomic_t flushes;
	atomic_t zeroed;
	atomic_t dropped;
	unsigned int zero_ms;
};

static struct fake_device *to_device(struct virtgpu_bo_cache *cache)
{
	return container_of(cache, struct fake_device, cache);
}

static struct fake_bo *to_bo(struct virtgpu_bo_entry *entry)
{
	return container_of(entry, struct fake_bo, entry);
}

static void bo_free(struct fake_device *dev, struct fake_bo *bo)
{
	u64 released;

	virtgpu_bo_cache_lost(&dev->cache, &bo->entry, VIRTGPU_BO_EVICT_DRAIN);
	released = virtgpu_bo_cache_release_take(&dev->cache, &bo->entry);
	virtgpu_bo_owner_put(bo->entry.owner);
	virtgpu_bo_group_put(bo->entry.group);
	kfree(bo);
	atomic_dec(&dev->bos);
	virtgpu_bo_cache_release_end(&dev->cache, released);
}

static void bo_drop(struct fake_device *dev, struct fake_bo *bo)
{
	u64 released = virtgpu_bo_cache_release_take(&dev->cache, &bo->entry);

	bo->dropping = false;
	WRITE_ONCE(bo->dropped, true);
	virtgpu_bo_cache_release_end(&dev->cache, released);
}

static void bo_free_or_drop(struct fake_device *dev, struct fake_bo *bo)
{
	if (bo->dropping)
		bo_drop(dev, bo);
	else
		bo_free(dev, bo);
}

/* The host's answer to a release arrives. */
static void answer(struct fake_device *dev, struct fake_bo *bo)
{
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct virtgpu_bo_entry *entry = &bo->entry;
	bool ours = virtgpu_bo_cache_answered(cache, entry);

	if (entry->keep_pages) {
		virtgpu_bo_cache_release_end
			(cache, virtgpu_bo_cache_release_take(cache, entry));
		if (virtgpu_bo_cache_put(cache, entry, VIRTGPU_BO_TIER_PAGES,
					 false))
			return;
		virtgpu_bo_cache_lost(cache, entry, VIRTGPU_BO_EVICT_LIMIT);
	}
	if (!ours || !virtgpu_bo_cache_reap(cache, entry))
		bo_free_or_drop(dev, bo);
}

static struct fake_bo *next_waiting(struct fake_device *dev)
{
	struct fake_bo *bo;

	spin_lock(&dev->lock);
	bo = list_first_entry_or_null(&dev->waiting, struct fake_bo, link);
	if (bo)
		list_del(&bo->link);
	spin_unlock(&dev->lock);
	return bo;
}

/* Up to @count answers. */
static void answer_some(struct fake_device *dev, unsigned int count)
{
	struct fake_bo *bo;

	while (count-- && (bo = next_waiting(dev)))
		answer(dev, bo);
}

static bool op_claim(struct virtgpu_bo_entry *entry)
{
	struct fake_bo *bo = to_bo(entry);

	bo->asked++;
	if (bo->busy)
		return false;
	bo->dropping = true;
	return true;
}

static void op_release(struct virtgpu_bo_cache *cache,
		       struct virtgpu_bo_entry *entry,
		       enum virtgpu_bo_tier tier)
{
	struct fake_device *dev = to_device(cache);
	struct fake_bo *bo = to_bo(entry);

	if (tier == VIRTGPU_BO_TIER_PAGES) {
		bo_free_or_drop(dev, bo);
		return;
	}
	atomic_inc(&dev->told);
	spin_lock(&dev->lock);
	list_add_tail(&bo->link, &dev->waiting);
	dev->most = max_t(unsigned int, dev->most,
			  list_count_nodes(&dev->waiting));
	spin_unlock(&dev->lock);
}

static void op_flush(struct virtgpu_bo_cache *cache)
{
	struct fake_device *dev = to_device(cache);

	atomic_inc(&dev->flushes);
	if (!READ_ONCE(dev->deaf))
		answer_some(dev, UINT_MAX);
}

static void op_zero(struct virtgpu_bo_entry *entry)
{
	struct fake_device *dev = to_device(entry->group->cache);

	if (dev->zero_ms)
		msleep(dev->zero_ms);
	atomic_inc(&dev->zeroed);
}

static void op_drop(struct virtgpu_bo_entry *entry)
{
	atomic_inc(&to_device(entry->group->cache)->dropped);
}

static const struct virtgpu_bo_cache_ops fake_ops = {
	.claim = op_claim,
	.release = op_release,
	.flush = op_flush,
	.drop = op_drop,
	.zero = op_zero,
};

static int fake_init(struct kunit *test)
{
	struct fake_device *dev;

	dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	spin_lock_init(&dev->lock);
	INIT_LIST_HEAD(&dev->waiting);
	KUNIT_ASSERT_EQ(test, 0,
			virtgpu_bo_cache_init(&dev->cache, &fake_ops, 0));
	virtgpu_bo_cache_set_limit(&dev->cache, LIMIT);
	virtgpu_bo_cache_set_timeout(&dev->cache, VIRTGPU_BO_TIMEOUT_MAX_MS);
	virtgpu_bo_cache_set_enabled(&dev->cache, true);
	test->priv = dev;
	return 0;
}

/* Every test leaves no BO behind, and counters that add up. */
static void fake_exit(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct virtgpu_bo_cache_stats *stats = &cache->stats;
	u64 gone = 0;
	unsigned int i;

	dev->deaf = false;
	answer_some(dev, UINT_MAX);
	KUNIT_EXPECT_TRUE(test, virtgpu_bo_cache_kill(cache));
	virtgpu_bo_cache_abandon(cache);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&dev->bos));
	KUNIT_EXPECT_TRUE(test, virtgpu_bo_cache_idle(cache));
	KUNIT_EXPECT_EQ(test, 0, cache->window);
	for (i = 0; i < VIRTGPU_BO_EVICTS; i++)
		gone += stats->evicted[i];
	for (i = 0; i < VIRTGPU_BO_TIERS; i++)
		gone += stats->hits[i];
	KUNIT_EXPECT_EQ(test, stats->puts, gone);
	virtgpu_bo_cache_fini(cache);
}

/*
 * BOs
 */

static const struct virtgpu_bo_ident texture = {
	.kind = VIRTGPU_BO_KIND_3D, .format = 1, .target = 2, .bind = 2,
	.width = 64, .height = 32, .depth = 1, .array_size = 1,
};

static const struct virtgpu_bo_ident buffer = {
	.kind = VIRTGPU_BO_KIND_BUFFER, .format = 64, .bind = 16,
	.width = 64 << 10, .height = 1, .depth = 1, .array_size = 1,
};

static struct virtgpu_bo_owner *new_owner(struct kunit *test)
{
	struct virtgpu_bo_owner *owner = virtgpu_bo_owner_new(1);

	KUNIT_ASSERT_NOT_NULL(test, owner);
	return owner;
}

static struct fake_bo *new_bo(struct kunit *test,
			      struct virtgpu_bo_owner *owner,
			      const struct virtgpu_bo_ident *ident,
			      unsigned int pages)
{
	struct fake_device *dev = test->priv;
	struct fake_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bo);
	bo->entry.ident = *ident;
	bo->entry.size = (u64)pages << PAGE_SHIFT;
	bo->entry.group = virtgpu_bo_group_get(&dev->cache);
	KUNIT_ASSERT_NOT_NULL(test, bo->entry.group);
	if (owner) {
		kref_get(&owner->ref);
		bo->entry.owner = owner;
	}
	atomic_inc(&dev->bos);
	return bo;
}

/* What the driver does with the last reference; freed @ago milliseconds ago. */
static bool put_aged(struct kunit *test, struct fake_bo *bo,
		     enum virtgpu_bo_tier tier, unsigned int ago)
{
	struct fake_device *dev = test->priv;

	bo->entry.freed = ktime_sub_ms(ktime_get(), ago);
	virtgpu_bo_group_wake(bo->entry.group);
	if (virtgpu_bo_cache_put(&dev->cache, &bo->entry, tier, false))
		return true;
	bo_free(dev, bo);
	return false;
}

static bool put(struct kunit *test, struct fake_bo *bo,
		enum virtgpu_bo_tier tier)
{
	return put_aged(test, bo, tier, 0);
}

static struct fake_bo *take(struct kunit *test, struct virtgpu_bo_owner *owner,
			    const struct virtgpu_bo_ident *ident,
			    unsigned int pages)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_group *group = virtgpu_bo_group_get(&dev->cache);
	struct virtgpu_bo_entry *entry;

	entry = virtgpu_bo_cache_take_resource(&dev->cache, owner, group, ident,
					       (u64)pages << PAGE_SHIFT);
	virtgpu_bo_group_put(group);
	return entry ? to_bo(entry) : NULL;
}

static struct fake_bo *take_pages(struct kunit *test, unsigned int pages,
				  bool exact)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_group *group = virtgpu_bo_group_get(&dev->cache);
	struct virtgpu_bo_entry *entry;

	entry = virtgpu_bo_cache_take_pages(&dev->cache, group,
					    (u64)pages << PAGE_SHIFT, exact);
	virtgpu_bo_group_put(group);
	return entry ? to_bo(entry) : NULL;
}

/* Waits for what works do. */
#define eventually(test, cond) do {					\
	unsigned long end_ = jiffies + msecs_to_jiffies(HANG_MS);	\
	bool met_;							\
	while (!(met_ = (cond)) && time_before(jiffies, end_))		\
		msleep(20);						\
	KUNIT_EXPECT_TRUE_MSG(test, met_, "%s:%d", __func__, __LINE__);	\
} while (0)

/*
 * Buckets
 */

static void bucket_waste_is_bounded(struct kunit *test)
{
	u64 pages, last = 0, min;

	/* All small sizes, then ever larger steps. */
	for (pages = 1; pages < 1 << 19; pages += 1 + (pages >> 10)) {
		u64 size = pages << PAGE_SHIFT;
		unsigned int bucket = virtgpu_bo_bucket(size);

		KUNIT_ASSERT_LT(test, bucket, VIRTGPU_BO_BUCKETS);
		KUNIT_ASSERT_GE(test, bucket, last);
		last = bucket;
		min = virtgpu_bo_bucket_min(bucket);
		KUNIT_ASSERT_LE(test, min, size);
		KUNIT_ASSERT_EQ(test, bucket, virtgpu_bo_bucket(min));
		/* Any two of a class differ by less than an eighth. */
		KUNIT_ASSERT_TRUE(test, size == min || (size - min) * 8 < size);
	}
}

static void bucket_beyond_the_table(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	u64 size = virtgpu_bo_bucket_min(VIRTGPU_BO_BUCKETS);

	KUNIT_EXPECT_EQ(test, VIRTGPU_BO_BUCKETS, virtgpu_bo_bucket(size));
	KUNIT_EXPECT_EQ(test, VIRTGPU_BO_BUCKETS - 1,
			virtgpu_bo_bucket(size - PAGE_SIZE));
	virtgpu_bo_cache_set_limit(&dev->cache, U64_MAX);
	KUNIT_EXPECT_FALSE(test, virtgpu_bo_cache_fits(&dev->cache, size));
	KUNIT_EXPECT_FALSE(test, virtgpu_bo_cache_fits(&dev->cache, 0));
	KUNIT_EXPECT_TRUE(test, virtgpu_bo_cache_fits(&dev->cache, PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, take_pages(test, size >> PAGE_SHIFT, true));
}

/*
 * Identity and owner
 */

static void identity_is_exact(struct kunit *test)
{
	const unsigned int words = sizeof(texture) / sizeof(u32);
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct virtgpu_bo_ident other;
	struct fake_device *dev = test->priv;
	struct fake_bo *bo = new_bo(test, owner, &texture, 2);
	unsigned int i;

	KUNIT_ASSERT_TRUE(test, put(test, bo, VIRTGPU_BO_TIER_RESOURCE));
	for (i = 0; i < words; i++) {
		other = texture;
		((u32 *)&other)[i]++;
		KUNIT_EXPECT_NULL(test, take(test, owner, &other, 2));
	}
	KUNIT_EXPECT_NULL(test, take(test, owner, &texture, 1));
	KUNIT_EXPECT_NULL(test, take(test, owner, &texture, 3));
	KUNIT_EXPECT_PTR_EQ(test, bo, take(test, owner, &texture, 2));
	KUNIT_EXPECT_NULL(test, take(test, owner, &texture, 2));
	bo_free(dev, bo);
	virtgpu_bo_owner_put(owner);
}

/* A buffer serves who asks for a little less of the same class, not for more. */
static void a_buffer_may_be_larger(struct kunit *test)
{
	static const struct {
		unsigned int pages;
		unsigned int width;
		bool fits;
	} asked[] = {
		{ 17, 17, true }, { 16, 16, true }, { 15, 15, false },
		{ 18, 18, false }, { 8, 8, false }, { 34, 34, false },
		/* Who has more backing than he needs may ask the host for less. */
		{ 17, 16, true }, { 17, 15, false }, { 17, 1, false },
		{ 17, 18, false },
	};
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct virtgpu_bo_ident have = buffer, want = buffer;
	struct fake_device *dev = test->priv;
	struct fake_bo *bo, *found;
	unsigned int i;

	have.width = 17 << PAGE_SHIFT;
	bo = new_bo(test, owner, &have, 17);
	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		KUNIT_ASSERT_TRUE(test, put(test, bo, VIRTGPU_BO_TIER_RESOURCE));
		want.width = asked[i].width << PAGE_SHIFT;
		found = take(test, owner, &want, asked[i].pages);
		KUNIT_EXPECT_PTR_EQ_MSG(test, asked[i].fits ? bo : NULL, found,
					"%u pages, %u wide", asked[i].pages,
					asked[i].width);
		if (!found)
			found = take(test, owner, &have, 17);
		KUNIT_ASSERT_PTR_EQ(test, bo, found);
	}
	bo_free(dev, bo);
	virtgpu_bo_owner_put(owner);
}

static void another_owner_gets_nothing(struct kunit *test)
{
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct virtgpu_bo_owner *other = new_owner(test);
	struct fake_device *dev = test->priv;
	struct fake_bo *bo = new_bo(test, owner, &texture, 2);

	KUNIT_EXPECT_NE(test, owner->id, other->id);
	KUNIT_ASSERT_TRUE(test, put(test, bo, VIRTGPU_BO_TIER_RESOURCE));
	KUNIT_EXPECT_NULL(test, take(test, other, &texture, 2));
	KUNIT_EXPECT_NULL(test, take_pages(test, 2, true));
	KUNIT_EXPECT_PTR_EQ(test, bo, take(test, owner, &texture, 2));
	bo_free(dev, bo);
	virtgpu_bo_owner_put(owner);
	virtgpu_bo_owner_put(other);
}

static void a_closed_owner_keeps_nothing(struct kunit *test)
{
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct fake_device *dev = test->priv;
	struct fake_bo *bo = new_bo(test, owner, &texture, 2);
	struct fake_bo *late = new_bo(test, owner, &texture, 2);

	KUNIT_ASSERT_TRUE(test, put(test, bo, VIRTGPU_BO_TIER_RESOURCE));
	virtgpu_bo_cache_close_owner(&dev->cache, owner);
	KUNIT_EXPECT_NULL(test, take(test, owner, &texture, 2));
	KUNIT_EXPECT_FALSE(test, put(test, late, VIRTGPU_BO_TIER_RESOURCE));
	eventually(test, dev->cache.held_bos[VIRTGPU_BO_TIER_PAGES] == 1);
	KUNIT_EXPECT_EQ(test, 1, dev->cache.stats.demotions);
	KUNIT_EXPECT_PTR_EQ(test, bo, take_pages(test, 2, true));
	KUNIT_EXPECT_TRUE(test, bo->entry.zeroed);
	bo_free(dev, bo);
	virtgpu_bo_owner_put(owner);
}

/*
 * Order and limit
 */

static void the_oldest_makes_room(struct kunit *test)
{
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_ident ident = texture;
	struct fake_bo *bo;
	unsigned int i;

	virtgpu_bo_cache_set_limit(&dev->cache, 4 * PAGE_SIZE);
	for (i = 0; i < 6; i++) {
		ident.height = i;
		bo = new_bo(test, owner, &ident, 1);
		KUNIT_ASSERT_TRUE(test, put(test, bo, i % 2 ?
					    VIRTGPU_BO_TIER_RESOURCE :
					    VIRTGPU_BO_TIER_PAGES));
	}
	KUNIT_EXPECT_EQ(test, 2,
			dev->cache.stats.evicted[VIRTGPU_BO_EVICT_LIMIT]);
	for (i = 0; i < 6; i++) {
		ident.height = i;
		if (i % 2 == 0)
			continue;
		bo = take(test, owner, &ident, 1);
		KUNIT_EXPECT_EQ_MSG(test, i >= 2, !!bo, "number %u", i);
		if (bo)
			bo_free(dev, bo);
	}
	/* What alone is larger than the limit stays out. */
	bo = new_bo(test, owner, &texture, 5);
	KUNIT_EXPECT_FALSE(test, put(test, bo, VIRTGPU_BO_TIER_RESOURCE));
	virtgpu_bo_cache_set_limit(&dev->cache, 0);
	eventually(test, virtgpu_bo_cache_idle(&dev->cache));
	virtgpu_bo_owner_put(owner);
}

/* Age counts, not when it came in: a demoted one may come late. */
static void order_is_by_age(struct kunit *test)
{
	static const unsigned int ages[] = { 30, 50, 10, 40, 20 };
	struct fake_device *dev = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ages); i++)
		put_aged(test, new_bo(test, NULL, &texture, ages[i]),
			 VIRTGPU_BO_TIER_PAGES, ages[i] * 1000);
	for (i = 5; i > 0; i--) {
		/* One page wanted, the oldest has ten times @i. */
		KUNIT_EXPECT_EQ(test, 10 * i,
				virtgpu_bo_cache_reclaim(&dev->cache, NULL, 1));
	}
	KUNIT_EXPECT_EQ(test, 0, virtgpu_bo_cache_reclaim(&dev->cache, NULL, 1));
	eventually(test, virtgpu_bo_cache_idle(&dev->cache));
}

/* The place where the last one entered is left, then the one before it. */
static void a_place_that_is_left_is_forgotten(struct kunit *test)
{
	static const unsigned int ages[] = { 50, 10, 30, 40 };
	struct fake_device *dev = test->priv;
	struct fake_bo *bo;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ages); i++)
		put_aged(test, new_bo(test, NULL, &texture, ages[i]),
			 VIRTGPU_BO_TIER_PAGES, ages[i] * 1000);
	for (i = 40; i <= 50; i += 10) {
		bo = take_pages(test, i, true);
		KUNIT_ASSERT_NOT_NULL(test, bo);
		bo_free(dev, bo);
	}
	put_aged(test, new_bo(test, NULL, &texture, 20), VIRTGPU_BO_TIER_PAGES,
		 20000);
	for (i = 3; i > 0; i--)
		KUNIT_EXPECT_EQ(test, 10 * i,
				virtgpu_bo_cache_reclaim(&dev->cache, NULL, 1));
	eventually(test, virtgpu_bo_cache_idle(&dev->cache));
}

/*
 * Clock
 */

static void the_clock_stands_still_when_empty(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;

	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&cache->clock));
	virtgpu_bo_cache_set_timeout(cache, TIMEOUT_MS);
	put(test, new_bo(test, NULL, &texture, 1), VIRTGPU_BO_TIER_PAGES);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&cache->clock));
	eventually(test, virtgpu_bo_cache_idle(cache));
	KUNIT_EXPECT_EQ(test, 1, cache->stats.evicted[VIRTGPU_BO_EVICT_EXPIRED]);
	flush_delayed_work(&cache->clock);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&cache->clock));
	KUNIT_EXPECT_EQ(test, KTIME_MAX, cache->due);
}

static void the_clock_goes_on_for_younger_ones(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct fake_bo *old = new_bo(test, NULL, &texture, 1);
	struct fake_bo *young = new_bo(test, NULL, &texture, 2);
	const u32 ms = 40000;
	ktime_t freed;

	virtgpu_bo_cache_set_timeout(cache, ms);
	put_aged(test, young, VIRTGPU_BO_TIER_PAGES, ms / 2);
	freed = young->entry.freed;
	put_aged(test, old, VIRTGPU_BO_TIER_PAGES, 2 * ms);
	eventually(test, cache->stats.evicted[VIRTGPU_BO_EVICT_EXPIRED] == 1);
	flush_work(&cache->clock.work);
	KUNIT_EXPECT_EQ(test, 1, cache->held_bos[VIRTGPU_BO_TIER_PAGES]);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&cache->clock));
	KUNIT_EXPECT_GE(test, cache->due, ktime_add_ms(freed, ms));
	KUNIT_EXPECT_LE(test, cache->due, ktime_add_ms(freed, ms + ms / 16));
	virtgpu_bo_cache_set_timeout(cache, ms / 2);
	eventually(test, cache->stats.evicted[VIRTGPU_BO_EVICT_EXPIRED] == 2);
}

static void a_shorter_timeout_counts_at_once(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	ktime_t due;

	put(test, new_bo(test, NULL, &texture, 1), VIRTGPU_BO_TIER_PAGES);
	due = cache->due;
	virtgpu_bo_cache_set_timeout(cache, TIMEOUT_MS);
	KUNIT_EXPECT_TRUE(test, ktime_before(cache->due, due));
	eventually(test, virtgpu_bo_cache_idle(cache));
}

static void a_shorter_timeout_counts_for_what_comes(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct virtgpu_bo_owner *owner = new_owner(test);
	/* Its group is awake with the first one, and stays so. */
	struct fake_bo *next = new_bo(test, owner, &texture, 1);

	/* The clock is armed for this one, and then it is not there any more. */
	put(test, new_bo(test, NULL, &texture, 1), VIRTGPU_BO_TIER_PAGES);
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL, NULL,
			       VIRTGPU_BO_EVICT_ADMIN);
	virtgpu_bo_cache_flush(cache);
	virtgpu_bo_cache_set_timeout(cache, TIMEOUT_MS);
	/* In this tier the clock stays as it is if it is armed at all. */
	KUNIT_EXPECT_TRUE(test, put(test, next, VIRTGPU_BO_TIER_RESOURCE));
	KUNIT_EXPECT_LE(test, cache->due,
			ktime_add_ms(ktime_get(), 2 * TIMEOUT_MS));
	eventually(test, virtgpu_bo_cache_idle(cache));
	virtgpu_bo_owner_put(owner);
}

static void who_comes_late_has_less_time(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct fake_bo *late = new_bo(test, NULL, &texture, 2);
	const u32 ms = 40000;

	virtgpu_bo_cache_set_timeout(cache, ms);
	put(test, new_bo(test, NULL, &texture, 1), VIRTGPU_BO_TIER_PAGES);
	put_aged(test, late, VIRTGPU_BO_TIER_PAGES, ms / 2);
	KUNIT_EXPECT_LE(test, cache->due,
			ktime_add_ms(late->entry.freed, ms + ms / 16));
}

static void run_clock(struct virtgpu_bo_cache *cache)
{
	mod_delayed_work(cache->wq, &cache->clock, 0);
	flush_delayed_work(&cache->clock);
}

/* The clock runs while there is nothing but a BO that is not yet in the cache. */
static void what_is_on_its_way_finds_its_group_awake(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct virtgpu_bo_group *group;
	struct fake_bo *bo;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		bo = new_bo(test, NULL, &texture, 1 + i);
		group = bo->entry.group;
		virtgpu_bo_group_wake(group);
		/* It is in use by the host when it is closed, or is not. */
		if (i)
			run_clock(cache);
		bo->entry.freed = ktime_get();
		bo->entry.keep_pages = true;
		virtgpu_bo_cache_release_begin(cache, &bo->entry);
		if (!i)
			run_clock(cache);
		answer(dev, bo);
		KUNIT_EXPECT_EQ(test, 1, cache->held_bos[VIRTGPU_BO_TIER_PAGES]);
		/* But not for ever. */
		bo = take_pages(test, 1 + i, true);
		KUNIT_ASSERT_NOT_NULL(test, bo);
		KUNIT_EXPECT_TRUE(test, group->awake);
		group->woken = ktime_sub_ms(ktime_get(),
					    VIRTGPU_BO_TIMEOUT_MAX_MS);
		run_clock(cache);
		KUNIT_EXPECT_FALSE(test, group->awake);
		bo_free(dev, bo);
	}
}

static void off_is_empty(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		put(test, new_bo(test, NULL, &texture, 1),
		    VIRTGPU_BO_TIER_PAGES);
		if (i)
			virtgpu_bo_cache_set_timeout(cache, 0);
		else
			virtgpu_bo_cache_set_enabled(cache, false);
		eventually(test, virtgpu_bo_cache_idle(cache));
		KUNIT_EXPECT_FALSE(test,
				   put(test, new_bo(test, NULL, &texture, 1),
				       VIRTGPU_BO_TIER_PAGES));
		virtgpu_bo_cache_set_enabled(cache, true);
	}
	KUNIT_EXPECT_EQ(test, 2,
			cache->stats.evicted[VIRTGPU_BO_EVICT_DISABLED]);
}

/* By the clock of the machine, which has no end and does not wrap. */
static void any_age_is_understood(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct fake_bo *ancient = new_bo(test, NULL, &texture, 1);
	struct fake_bo *future = new_bo(test, NULL, &texture, 2);

	ancient->entry.freed = 0;
	future->entry.freed = ktime_add_ms(ktime_get(), 1000000);
	virtgpu_bo_group_wake(ancient->entry.group);
	KUNIT_ASSERT_TRUE(test, virtgpu_bo_cache_put(cache, &future->entry,
						     VIRTGPU_BO_TIER_PAGES,
						     true));
	KUNIT_ASSERT_TRUE(test, virtgpu_bo_cache_put(cache, &ancient->entry,
						     VIRTGPU_BO_TIER_PAGES,
						     true));
	virtgpu_bo_cache_set_timeout(cache, VIRTGPU_BO_TIMEOUT_MAX_MS - 1);
	if (ktime_get_ns() > VIRTGPU_BO_TIMEOUT_MAX_MS * NSEC_PER_MSEC)
		eventually(test,
			   cache->stats.evicted[VIRTGPU_BO_EVICT_EXPIRED] == 1);
	KUNIT_EXPECT_PTR_EQ(test, future, take_pages(test, 2, true));
	bo_free(dev, future);
}

/*
 * Content
 */

static void what_is_dirty_is_zeroed_once(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct fake_bo *bo;

	/* By who takes it, if he is quick ... */
	put(test, new_bo(test, NULL, &texture, 1), VIRTGPU_BO_TIER_PAGES);
	bo = take_pages(test, 1, true);
	KUNIT_ASSERT_NOT_NULL(test, bo);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&dev->zeroed));
	/* ... else by the work. */
	KUNIT_ASSERT_TRUE(test, put(test, bo, VIRTGPU_BO_TIER_PAGES));
	eventually(test, atomic_read(&dev->zeroed) == 2);
	bo = take_pages(test, 1, true);
	KUNIT_ASSERT_NOT_NULL(test, bo);
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&dev->zeroed));
	bo_free(dev, bo);
}

/* Whoever gets the pages meanwhile must not see it happen. */
static void zeroing_is_waited_for(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct fake_bo *bo = new_bo(test, NULL, &texture, 1);

	dev->zero_ms = 200;
	put(test, bo, VIRTGPU_BO_TIER_PAGES);
	eventually(test, READ_ONCE(bo->entry.zeroing));
	KUNIT_EXPECT_PTR_EQ(test, bo, take_pages(test, 1, true));
	KUNIT_EXPECT_FALSE(test, bo->entry.zeroing);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&dev->zeroed));
	/* Nor may they be freed before. */
	put(test, bo, VIRTGPU_BO_TIER_PAGES);
	eventually(test, READ_ONCE(bo->entry.zeroing));
	virtgpu_bo_cache_reclaim(cache, NULL, 1);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&dev->dropped));
	KUNIT_EXPECT_EQ(test, 0, virtgpu_bo_cache_flush(cache));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&dev->zeroed));
}

/*
 * Releases
 */

static void releases_go_by_the_window(struct kunit *test)
{
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	unsigned int window = cache->window_max, i;

	/* A client's command may have to wait for as many. */
	KUNIT_ASSERT_LE(test, window, 8);
	dev->deaf = true;
	for (i = 0; i < 4 * window; i++)
		put(test, new_bo(test, owner, &texture, 1),
		    VIRTGPU_BO_TIER_RESOURCE);
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL, NULL,
			       VIRTGPU_BO_EVICT_ADMIN);
	eventually(test, atomic_read(&dev->told) == window);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&dev->flushes));
	KUNIT_EXPECT_EQ(test, 4 * window, cache->release_bos);
	KUNIT_EXPECT_EQ(test, 0, virtgpu_bo_cache_freeable(cache, NULL));
	/* Fewer than half: nothing yet.  Half: as many more, in one batch. */
	answer_some(dev, window / 2 - 1);
	flush_work(&cache->retire);
	KUNIT_EXPECT_EQ(test, window, atomic_read(&dev->told));
	answer_some(dev, 1);
	eventually(test, atomic_read(&dev->told) == window + window / 2);
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&dev->flushes));
	while (!virtgpu_bo_cache_idle(cache)) {
		answer_some(dev, window / 2);
		msleep(20);
	}
	KUNIT_EXPECT_EQ(test, window, dev->most);
	virtgpu_bo_owner_put(owner);
}

static void one_tier_can_be_emptied(struct kunit *test)
{
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;

	put(test, new_bo(test, owner, &texture, 1), VIRTGPU_BO_TIER_RESOURCE);
	put(test, new_bo(test, NULL, &texture, 1), VIRTGPU_BO_TIER_PAGES);
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_RESOURCE, NULL,
			       VIRTGPU_BO_EVICT_HOST);
	KUNIT_EXPECT_EQ(test, 0, cache->held_bos[VIRTGPU_BO_TIER_RESOURCE]);
	KUNIT_EXPECT_EQ(test, 1, cache->held_bos[VIRTGPU_BO_TIER_PAGES]);
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_PAGES, NULL,
			       VIRTGPU_BO_EVICT_ADMIN);
	KUNIT_EXPECT_EQ(test, 0, virtgpu_bo_cache_flush(cache));
	KUNIT_EXPECT_TRUE(test, virtgpu_bo_cache_idle(cache));
	virtgpu_bo_owner_put(owner);
}

static void a_refused_resource_goes(struct kunit *test)
{
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct fake_bo *good = new_bo(test, owner, &texture, 1);
	struct fake_bo *bad = new_bo(test, owner, &texture, 1);

	good->entry.res_id = 6;
	bad->entry.res_id = 7;
	put(test, good, VIRTGPU_BO_TIER_RESOURCE);
	put(test, bad, VIRTGPU_BO_TIER_RESOURCE);
	virtgpu_bo_cache_evict_res(cache, 8);
	KUNIT_EXPECT_EQ(test, 2, cache->held_bos[VIRTGPU_BO_TIER_RESOURCE]);
	virtgpu_bo_cache_evict_res(cache, 7);
	KUNIT_EXPECT_EQ(test, 1,
			cache->stats.evicted[VIRTGPU_BO_EVICT_REFUSED]);
	KUNIT_EXPECT_PTR_EQ(test, good, take(test, owner, &texture, 1));
	bo_free(dev, good);
	virtgpu_bo_owner_put(owner);
}

/* It never answers: nothing waits for ever, and nothing is lost. */
static void a_dead_host_is_given_up(struct kunit *test)
{
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	unsigned int i;

	dev->deaf = true;
	for (i = 0; i < 20; i++)
		put(test, new_bo(test, owner, &texture, 1),
		    VIRTGPU_BO_TIER_RESOURCE);
	KUNIT_EXPECT_EQ(test, 0, virtgpu_bo_cache_oom(cache));
	KUNIT_EXPECT_EQ(test, 20, cache->release_bos);
	KUNIT_EXPECT_FALSE(test, virtgpu_bo_cache_kill(cache));
	KUNIT_EXPECT_FALSE(test, put(test, new_bo(test, owner, &texture, 1),
				     VIRTGPU_BO_TIER_RESOURCE));
	virtgpu_bo_cache_abandon(cache);
	KUNIT_EXPECT_EQ(test, 20, atomic_read(&dev->told));
	virtgpu_bo_owner_put(owner);
}

/*
 * Pressure
 */

static void reclaim_takes_what_it_asks_for(struct kunit *test)
{
	struct virtgpu_bo_owner *owner = new_owner(test);
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	unsigned int i;

	for (i = 0; i < 8; i++)
		put(test, new_bo(test, owner, &texture, 4), i % 2 ?
		    VIRTGPU_BO_TIER_RESOURCE : VIRTGPU_BO_TIER_PAGES);
	KUNIT_EXPECT_EQ(test, 32, virtgpu_bo_cache_freeable(cache, NULL));
	KUNIT_EXPECT_EQ(test, 8, virtgpu_bo_cache_reclaim(cache, NULL, 5));
	KUNIT_EXPECT_EQ(test, 24, virtgpu_bo_cache_freeable(cache, NULL));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&dev->dropped));
	KUNIT_EXPECT_EQ(test, 24, virtgpu_bo_cache_reclaim(cache, NULL, 1000));
	KUNIT_EXPECT_EQ(test, 0, virtgpu_bo_cache_freeable(cache, NULL));
	KUNIT_EXPECT_EQ(test, 4, atomic_read(&dev->dropped));
	KUNIT_EXPECT_EQ(test, 8,
			cache->stats.evicted[VIRTGPU_BO_EVICT_PRESSURE]);
	eventually(test, virtgpu_bo_cache_idle(cache));
	virtgpu_bo_owner_put(owner);
}

static void backing_off_grows_and_ends(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct virtgpu_bo_group *group = virtgpu_bo_group_get(cache);
	unsigned int i, ms = 250;

	KUNIT_ASSERT_NOT_NULL(test, group);
	for (i = 0; i < 10; i++) {
		KUNIT_ASSERT_TRUE(test, put(test,
					    new_bo(test, NULL, &texture, 1),
					    VIRTGPU_BO_TIER_PAGES));
		KUNIT_EXPECT_EQ(test, 1,
				virtgpu_bo_cache_reclaim(cache, NULL, 1));
		KUNIT_EXPECT_TRUE(test, virtgpu_bo_group_pressed(group));
		KUNIT_EXPECT_EQ(test, ms, group->backoff_ms);
		KUNIT_EXPECT_FALSE(test,
				   put(test, new_bo(test, NULL, &texture, 1),
				       VIRTGPU_BO_TIER_PAGES));
		/* As if the time had passed. */
		group->backoff_until = ktime_get();
		ms = min(2 * ms, 16000);
	}
	KUNIT_EXPECT_EQ(test, 10, cache->stats.backoffs);
	/* After a long calm it starts over. */
	group->backoff_until = ktime_sub_ms(ktime_get(), 5 * 16000);
	put(test, new_bo(test, NULL, &texture, 1), VIRTGPU_BO_TIER_PAGES);
	virtgpu_bo_cache_reclaim(cache, NULL, 1);
	KUNIT_EXPECT_EQ(test, 250, group->backoff_ms);
	virtgpu_bo_group_put(group);
}

/*
 * What its client can do without
 */

static void purgeable_is_given_back_or_dropped(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct fake_bo *bo = new_bo(test, NULL, &texture, 4);

	KUNIT_ASSERT_TRUE(test, put(test, bo, VIRTGPU_BO_TIER_PURGEABLE));
	KUNIT_EXPECT_EQ(test, 4, virtgpu_bo_cache_freeable(cache, NULL));
	KUNIT_EXPECT_NULL(test, take_pages(test, 4, true));
	KUNIT_EXPECT_TRUE(test, virtgpu_bo_cache_take_back(cache, &bo->entry));
	KUNIT_EXPECT_FALSE(test, virtgpu_bo_cache_take_back(cache, &bo->entry));
	KUNIT_EXPECT_EQ(test, 0, virtgpu_bo_cache_freeable(cache, NULL));
	/* Its content is the client's, nobody zeroes it. */
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&dev->zeroed));

	put(test, bo, VIRTGPU_BO_TIER_PURGEABLE);
	KUNIT_EXPECT_EQ(test, 4, virtgpu_bo_cache_reclaim(cache, NULL, 1));
	eventually(test, READ_ONCE(bo->dropped));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&dev->told));
	KUNIT_EXPECT_FALSE(test, virtgpu_bo_cache_take_back(cache, &bo->entry));
	KUNIT_EXPECT_EQ(test, 1, cache->stats.dropped);
	KUNIT_EXPECT_EQ(test, 1, cache->stats.hits[VIRTGPU_BO_TIER_PURGEABLE]);
	bo_free(dev, bo);
}

static void purgeable_that_is_busy_waits(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct fake_bo *busy = new_bo(test, NULL, &texture, 4);
	struct fake_bo *idle = new_bo(test, NULL, &texture, 4);

	busy->busy = true;
	put_aged(test, busy, VIRTGPU_BO_TIER_PURGEABLE, 1000);
	put(test, idle, VIRTGPU_BO_TIER_PURGEABLE);
	KUNIT_EXPECT_EQ(test, 4, virtgpu_bo_cache_reclaim(cache, NULL, 1000));
	eventually(test, READ_ONCE(idle->dropped));
	KUNIT_EXPECT_FALSE(test, busy->dropped);
	busy->busy = false;
	virtgpu_bo_cache_set_timeout(cache, TIMEOUT_MS);
	eventually(test, READ_ONCE(busy->dropped));
	KUNIT_EXPECT_EQ(test, 1,
			cache->stats.evicted[VIRTGPU_BO_EVICT_EXPIRED]);
	bo_free(dev, busy);
	bo_free(dev, idle);
}

/* What is busy when the cache is off is asked for soon, but not all the time. */
static void expect_asked_while_off(struct kunit *test, struct fake_bo *bo,
				   ktime_t since)
{
	struct fake_device *dev = test->priv;

	eventually(test, READ_ONCE(bo->asked) > 3);
	KUNIT_EXPECT_LE(test, READ_ONCE(bo->asked),
			2 + ktime_ms_delta(ktime_get(), since) / 5);
	WRITE_ONCE(bo->busy, false);
	eventually(test, READ_ONCE(bo->dropped));
	bo_free(dev, bo);
}

static void purgeable_outlasts_the_timeout(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct fake_bo *bo = new_bo(test, NULL, &texture, 4);
	ktime_t since = ktime_get();

	bo->busy = true;
	put(test, bo, VIRTGPU_BO_TIER_PURGEABLE);
	virtgpu_bo_cache_set_timeout(&dev->cache, 0);
	expect_asked_while_off(test, bo, since);
}

static void purgeable_outlasts_the_cache(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct fake_bo *bo = new_bo(test, NULL, &texture, 4);
	ktime_t since;

	virtgpu_bo_cache_set_timeout(&dev->cache, VIRTGPU_BO_TIMEOUT_MAX_MS);
	since = ktime_get();
	bo->busy = true;
	put(test, bo, VIRTGPU_BO_TIER_PURGEABLE);
	virtgpu_bo_cache_set_enabled(&dev->cache, false);
	expect_asked_while_off(test, bo, since);
}

/* It is the client's own memory: any size, and no room made for it. */
static void purgeable_does_not_count(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct fake_bo *cached = new_bo(test, NULL, &texture, 4);
	struct fake_bo *bo = new_bo(test, NULL, &texture, 100);

	virtgpu_bo_cache_set_limit(cache, 4 * PAGE_SIZE);
	put(test, cached, VIRTGPU_BO_TIER_PAGES);
	KUNIT_EXPECT_TRUE(test, put(test, bo, VIRTGPU_BO_TIER_PURGEABLE));
	KUNIT_EXPECT_EQ(test, 1, cache->held_bos[VIRTGPU_BO_TIER_PAGES]);
	virtgpu_bo_cache_leave(cache, &bo->entry);
	KUNIT_EXPECT_EQ(test, 1, cache->stats.evicted[VIRTGPU_BO_EVICT_CLOSED]);
	KUNIT_EXPECT_EQ(test, 0, cache->held_bos[VIRTGPU_BO_TIER_PURGEABLE]);
	bo_free(dev, bo);
}

/*
 * Counters
 */

static void every_reason_is_counted(struct kunit *test)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct fake_bo *bo = new_bo(test, NULL, &texture, 1);
	struct virtgpu_bo_want want = { .size = PAGE_SIZE };
	unsigned int i;

	for (i = VIRTGPU_BO_REJECT_NONE + 1; i < VIRTGPU_BO_REJECTS; i++) {
		virtgpu_bo_cache_rejected(cache, &bo->entry, i);
		KUNIT_EXPECT_EQ(test, 1, cache->stats.rejected[i]);
	}
	bo_free(dev, bo);

	for (i = VIRTGPU_BO_EVICT_EXPIRED + 1; i < VIRTGPU_BO_EVICTS; i++) {
		put(test, new_bo(test, NULL, &texture, 1),
		    VIRTGPU_BO_TIER_PAGES);
		virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL, NULL, i);
		KUNIT_EXPECT_EQ(test, 1, cache->stats.evicted[i]);
	}
	want.group = virtgpu_bo_group_get(cache);
	virtgpu_bo_cache_missed(cache, &want);
	/* The same create, trying again */
	virtgpu_bo_cache_missed(cache, &want);
	virtgpu_bo_group_put(want.group);
	KUNIT_EXPECT_EQ(test, 1, cache->stats.misses);
}

/*
 * All at once
 */

#define WORKERS 4
#define TURNS 4000

struct worker {
	struct kunit *test;
	struct task_struct *task;
	struct completion done;
};

static void churn_once(struct kunit *test, struct virtgpu_bo_owner *owner)
{
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_ident ident = texture;
	struct fake_bo *bo;

	ident.height = get_random_u32_below(4);
	bo = get_random_u32_below(2) ? take(test, owner, &ident, 2) :
				       take_pages(test, 2, true);
	if (!bo)
		bo = new_bo(test, owner, &ident, 2);
	if (!bo->entry.owner)
		put(test, bo, VIRTGPU_BO_TIER_PAGES);
	else if (bo->entry.owner != owner || get_random_u32_below(8))
		put(test, bo, bo->entry.owner == owner ?
		    VIRTGPU_BO_TIER_RESOURCE : VIRTGPU_BO_TIER_PAGES);
	else
		bo_free(dev, bo);
}

static int churn(void *arg)
{
	struct worker *worker = arg;
	struct kunit *test = worker->test;
	struct fake_device *dev = test->priv;
	struct virtgpu_bo_cache *cache = &dev->cache;
	struct virtgpu_bo_owner *owner = virtgpu_bo_owner_new(1);
	unsigned int i;

	for (i = 0; owner && i < TURNS; i++) {
		churn_once(test, owner);
		switch (get_random_u32_below(200)) {
		case 0:
			virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL,
					       NULL, VIRTGPU_BO_EVICT_ADMIN);
			break;
		case 1:
			virtgpu_bo_cache_reclaim(cache, NULL, 10);
			break;
		case 2:
			virtgpu_bo_cache_set_timeout
				(cache, 1 + get_random_u32_below(20));
			break;
		case 3:
			virtgpu_bo_cache_close_owner(cache, owner);
			virtgpu_bo_owner_put(owner);
			owner = virtgpu_bo_owner_new(1);
			break;
		}
		cond_resched();
	}
	virtgpu_bo_cache_close_owner(cache, owner);
	virtgpu_bo_owner_put(owner);
	complete(&worker->done);
	return 0;
}

static void all_at_once(struct kunit *test)
{
	struct worker worker[WORKERS];
	unsigned int i;

	for (i = 0; i < WORKERS; i++) {
		worker[i].test = test;
		init_completion(&worker[i].done);
		worker[i].task = kthread_run(churn, &worker[i], "bo-churn-%u",
					     i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(worker[i].task));
	}
	for (i = 0; i < WORKERS; i++)
		wait_for_completion(&worker[i].done);
}

static struct kunit_case bo_cache_cases[] = {
	KUNIT_CASE(bucket_waste_is_bounded),
	KUNIT_CASE(bucket_beyond_the_table),
	KUNIT_CASE(identity_is_exact),
	KUNIT_CASE(a_buffer_may_be_larger),
	KUNIT_CASE(another_owner_gets_nothing),
	KUNIT_CASE(a_closed_owner_keeps_nothing),
	KUNIT_CASE(the_oldest_makes_room),
	KUNIT_CASE(order_is_by_age),
	KUNIT_CASE(a_place_that_is_left_is_forgotten),
	KUNIT_CASE(the_clock_stands_still_when_empty),
	KUNIT_CASE(the_clock_goes_on_for_younger_ones),
	KUNIT_CASE(a_shorter_timeout_counts_at_once),
	KUNIT_CASE(a_shorter_timeout_counts_for_what_comes),
	KUNIT_CASE(who_comes_late_has_less_time),
	KUNIT_CASE(what_is_on_its_way_finds_its_group_awake),
	KUNIT_CASE(off_is_empty),
	KUNIT_CASE(any_age_is_understood),
	KUNIT_CASE(what_is_dirty_is_zeroed_once),
	KUNIT_CASE(zeroing_is_waited_for),
	KUNIT_CASE(releases_go_by_the_window),
	KUNIT_CASE(one_tier_can_be_emptied),
	KUNIT_CASE(a_refused_resource_goes),
	KUNIT_CASE_SLOW(a_dead_host_is_given_up),
	KUNIT_CASE(reclaim_takes_what_it_asks_for),
	KUNIT_CASE(backing_off_grows_and_ends),
	KUNIT_CASE(purgeable_is_given_back_or_dropped),
	KUNIT_CASE(purgeable_that_is_busy_waits),
	KUNIT_CASE(purgeable_outlasts_the_timeout),
	KUNIT_CASE(purgeable_outlasts_the_cache),
	KUNIT_CASE(purgeable_does_not_count),
	KUNIT_CASE(every_reason_is_counted),
	KUNIT_CASE_SLOW(all_at_once),
	{}
};

static struct kunit_suite bo_cache_suite = {
	.name = "virtgpu_bo_cache",
	.init = fake_init,
	.exit = fake_exit,
	.test_cases = bo_cache_cases,
};

kunit_test_suite(bo_cache_suite);
