// SPDX-License-Identifier: GPL-2.0 OR MIT
/**
 * DOC: BO cache
 *
 * To create a BO the guest allocates and zeroes pages, builds a scatter list and
 * sends two or three commands to the host; to free it, it sends two more and
 * throws all of that away.  Clients create and free BOs of the same few shapes
 * over and over.  So freed BOs are kept for a short time, in two tiers:
 *
 * - The *resource* tier holds BOs as they are, pages and host resource.  They go
 *   back only to the DRM file that freed them: the host's copy has the old
 *   content, and objects that the file's context made on it may live on.
 * - The *pages* tier holds pages that the host has let go of and that have been
 *   zeroed.  They go to anyone, who still creates a host resource of his own.
 *
 * A delayed work drops what is older than &virtgpu_bo_cache.timeout_ms.  Others
 * zero pages soon after they were freed, so that creates need not; tell the host
 * about what was dropped, a bounded number at a time, so that a client's command
 * never waits behind a thousand of ours; and free its pages.
 *
 * What is held is the first memory that the kernel gets back when it is short of
 * it: see virtgpu_bo_cache_reclaim.c.
 *
 * Lock order: &virtgpu_bo_cache.lock is innermost but for those of the workqueues,
 * and those of fences, whose callbacks never come here.
 */

#include <linux/hash.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "virtgpu_bo_cache.h"
#include "virtgpu_bo_cache_trace.h"

/*
 * How long pages wait to be zeroed by a work.  Longer than a client takes from a
 * free to the create that follows it, so that a tight loop does not race with the
 * work, and far shorter than any useful timeout.
 */
#define ZERO_DELAY_MS 10

/*
 * Releases that the cache may have with the host at a time, and how many answers
 * it waits for before it sends more.  A client's command waits for these, and the
 * host takes about as long for one as for a command of the client's; more of them
 * did not make thousands of releases faster.
 */
#define WINDOW_MAX 4
#define WINDOW_REFILL (WINDOW_MAX / 2)

/* How far a look-up goes into a list; bounds the time under the lock. */
#define SCAN_MAX 64

/* And how far into each list to tell why it found nothing. */
#define EXPLAIN_MAX 1024

/* How many entries are evicted before the lock is dropped for a moment. */
#define EVICT_BATCH 32

/*
 * How long until a purgeable BO that the host still uses is looked at again when
 * the cache is off.
 */
#define RECHECK_MS 10

/* How long to wait for a host that does not answer, milliseconds. */
#define RELEASE_TIMEOUT_MS 10000

/*
 * And how long for its next answer when the device is going away: then a dead host
 * should hold up nobody for long, but a slow one can still be told of everything.
 */
#define STALL_MS 1000

/* And how long when the alternative is that something is killed. */
#define OOM_TIMEOUT_MS 1000

static_assert(sizeof(struct virtgpu_bo_ident) == 11 * sizeof(u32));

/**
 * virtgpu_bo_bucket_min - smallest size of a class
 * @bucket: the class
 *
 * Returns: bytes
 */
u64 virtgpu_bo_bucket_min(unsigned int bucket)
{
	if (bucket < 8)
		return (u64)bucket << PAGE_SHIFT;
	return (u64)(8 + bucket % 8) << (bucket / 8 - 1 + PAGE_SHIFT);
}

/**
 * virtgpu_bo_owner_new - give an open DRM file its number
 * @ctx_id: the file's context on the host
 *
 * Returns: the owner with one reference, or NULL when memory is short; the file
 * then does without the resource tier.
 */
struct virtgpu_bo_owner *virtgpu_bo_owner_new(u32 ctx_id)
{
	static atomic64_t last_id = ATOMIC64_INIT(0);
	struct virtgpu_bo_owner *owner;

	owner = kzalloc_obj(*owner);
	if (!owner)
		return NULL;
	kref_init(&owner->ref);
	owner->id = atomic64_inc_return(&last_id);
	owner->ctx_id = ctx_id;
	INIT_LIST_HEAD(&owner->entries);
	return owner;
}

static void virtgpu_bo_owner_free(struct kref *ref)
{
	kfree(container_of(ref, struct virtgpu_bo_owner, ref));
}

/**
 * virtgpu_bo_owner_put - drop a reference
 * @owner: may be NULL
 */
void virtgpu_bo_owner_put(struct virtgpu_bo_owner *owner)
{
	if (owner)
		kref_put(&owner->ref, virtgpu_bo_owner_free);
}

/**
 * virtgpu_bo_cache_arm - make the clock run
 * @cache: the cache
 * @due: when; nothing happens if it runs sooner anyway
 */
void virtgpu_bo_cache_arm(struct virtgpu_bo_cache *cache, ktime_t due)
{
	s64 delay_ms;

	lockdep_assert_held(&cache->lock);
	if (!ktime_before(due, cache->due))
		return;
	cache->due = due;
	delay_ms = ktime_ms_delta(due, ktime_get());
	mod_delayed_work(cache->wq, &cache->clock,
			 delay_ms > 0 ? msecs_to_jiffies(delay_ms) + 1 : 0);
}

/* Have what is doomed released; the window is refilled when half is answered. */
static void virtgpu_bo_cache_kick(struct virtgpu_bo_cache *cache)
{
	lockdep_assert_held(&cache->lock);
	if (!list_empty(&cache->doomed[VIRTGPU_BO_TIER_RESOURCE]) &&
	    cache->window <= WINDOW_REFILL)
		queue_work(cache->host_wq, &cache->retire);
	if (!list_empty(&cache->doomed[VIRTGPU_BO_TIER_PAGES]))
		queue_work(cache->wq, &cache->reap);
}

/*
 * What was freed first, of @tiers and of what is charged to @memcg or to a cgroup
 * that was below it.  There are few groups.
 */
static struct virtgpu_bo_entry *
virtgpu_bo_cache_oldest(struct virtgpu_bo_cache *cache, unsigned int tiers,
			const struct mem_cgroup *memcg)
{
	struct virtgpu_bo_entry *entry, *oldest = NULL;
	struct virtgpu_bo_group *group;
	enum virtgpu_bo_tier tier;

	lockdep_assert_held(&cache->lock);
	list_for_each_entry(group, &cache->groups, link) {
		if (!virtgpu_bo_group_within(group, memcg))
			continue;
		for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS;
		     tier++) {
			entry = list_first_entry_or_null(&group->lru[tier],
							 struct virtgpu_bo_entry,
							 lru_link);
			if (entry && (tiers & BIT(tier)) &&
			    (!oldest ||
			     ktime_before(entry->freed, oldest->freed)))
				oldest = entry;
		}
	}
	return oldest;
}

/* How old an entry gets: when the cache is off it only waits for the host. */
static u32 virtgpu_bo_cache_keep_ms(struct virtgpu_bo_cache *cache)
{
	lockdep_assert_held(&cache->lock);
	return virtgpu_bo_cache_active(cache) ? cache->timeout_ms : RECHECK_MS;
}

/*
 * Arm for what was freed @then, and a little later than it needs, so that one run
 * serves all that were freed in a burst.
 */
static void virtgpu_bo_cache_arm_for(struct virtgpu_bo_cache *cache,
				     ktime_t then)
{
	u32 ms = virtgpu_bo_cache_keep_ms(cache);

	virtgpu_bo_cache_arm(cache, ktime_add_ms(then, ms + ms / 32));
}

/* Arm for the oldest entry. */
static void virtgpu_bo_cache_arm_expiry(struct virtgpu_bo_cache *cache)
{
	struct virtgpu_bo_entry *entry =
		virtgpu_bo_cache_oldest(cache, VIRTGPU_BO_EVICT_ALL, NULL);

	if (entry)
		virtgpu_bo_cache_arm_for(cache, entry->freed);
}

/*
 * Let groups sleep, but not those that were woken since @then: a BO that was closed
 * may be with the host, or be used by it, and is to be kept when it comes back.
 */
static void virtgpu_bo_cache_sleep(struct virtgpu_bo_cache *cache, ktime_t then)
{
	bool active = virtgpu_bo_cache_active(cache);
	struct virtgpu_bo_group *group;
	ktime_t woken;

	lockdep_assert_held(&cache->lock);
	list_for_each_entry(group, &cache->groups, link) {
		woken = READ_ONCE(group->woken);
		if (active && group->awake && ktime_after(woken, then))
			virtgpu_bo_cache_arm_for(cache, woken);
		else
			virtgpu_bo_group_sleep(group);
	}
}

/* What tells most BOs apart; the look-up compares the rest. */
static struct list_head *
virtgpu_bo_cache_ident_head(struct virtgpu_bo_cache *cache,
			    const struct virtgpu_bo_owner *owner,
			    const struct virtgpu_bo_ident *ident,
			    unsigned int bucket)
{
	u64 shape = (u64)ident->format << 32 | ident->bind;

	/* Buffers of one class serve each other, so they share a list. */
	if (ident->kind != VIRTGPU_BO_KIND_BUFFER)
		shape ^= (u64)ident->width << 16 | ident->height;
	shape += owner->id << 40 ^ (u64)bucket << 24;
	return &cache->idents[hash_64(shape, VIRTGPU_BO_IDENT_BITS)];
}

static bool virtgpu_bo_cache_younger(const struct list_head *link,
				     const struct virtgpu_bo_entry *entry)
{
	return ktime_after(list_entry(link, struct virtgpu_bo_entry,
				      lru_link)->freed, entry->freed);
}

/*
 * First freed first, also when an entry comes late from the other tier.  Those do
 * so one after the other: so its place is looked for where the last one's was, and
 * not among thousands that are younger.
 */
static void virtgpu_bo_cache_add_lru(struct virtgpu_bo_group *group,
				     enum virtgpu_bo_tier tier,
				     struct virtgpu_bo_entry *entry)
{
	struct list_head *lru = &group->lru[tier];
	struct list_head *at = lru->prev;

	lockdep_assert_held(&group->cache->lock);
	if (at != lru && virtgpu_bo_cache_younger(at, entry)) {
		at = group->late[tier];
		while (at != lru && virtgpu_bo_cache_younger(at, entry))
			at = at->prev;
		while (at->next != lru &&
		       !virtgpu_bo_cache_younger(at->next, entry))
			at = at->next;
		group->late[tier] = &entry->lru_link;
	}
	list_add(&entry->lru_link, at);
}

static void virtgpu_bo_cache_del_lru(struct virtgpu_bo_group *group,
				     enum virtgpu_bo_tier tier,
				     struct virtgpu_bo_entry *entry)
{
	lockdep_assert_held(&group->cache->lock);
	if (group->late[tier] == &entry->lru_link)
		group->late[tier] = entry->lru_link.prev;
	list_del(&entry->lru_link);
}

static void virtgpu_bo_cache_link(struct virtgpu_bo_cache *cache,
				  struct virtgpu_bo_entry *entry,
				  enum virtgpu_bo_tier tier)
{
	struct virtgpu_bo_group *group = entry->group;
	struct list_head *head = NULL;

	lockdep_assert_held(&cache->lock);
	entry->tier = tier;
	if (tier == VIRTGPU_BO_TIER_PAGES) {
		head = &group->pages[entry->bucket];
	} else if (tier == VIRTGPU_BO_TIER_RESOURCE) {
		head = virtgpu_bo_cache_ident_head(cache, entry->owner,
						   &entry->ident,
						   entry->bucket);
		list_add_tail(&entry->owner_link, &entry->owner->entries);
		WRITE_ONCE(entry->owner->bytes,
			   entry->owner->bytes + entry->size);
	}
	/* Last freed is handed out first: the rest may get old and go. */
	if (head)
		list_add(&entry->bucket_link, head);
	else
		INIT_LIST_HEAD(&entry->bucket_link);
	virtgpu_bo_cache_add_lru(group, tier, entry);
	if (!entry->zeroed)
		list_add_tail(&entry->dirty_link, &cache->dirty);
	else
		INIT_LIST_HEAD(&entry->dirty_link);
	cache->held_bytes[tier] += entry->size;
	cache->held_bos[tier]++;
	WRITE_ONCE(group->held_pages[tier],
		   group->held_pages[tier] + (entry->size >> PAGE_SHIFT));
}

/* Returns the tier it was in. */
static enum virtgpu_bo_tier
virtgpu_bo_cache_unlink(struct virtgpu_bo_cache *cache,
			struct virtgpu_bo_entry *entry)
{
	struct virtgpu_bo_group *group = entry->group;
	enum virtgpu_bo_tier tier = entry->tier;

	lockdep_assert_held(&cache->lock);
	list_del(&entry->bucket_link);
	virtgpu_bo_cache_del_lru(group, tier, entry);
	list_del_init(&entry->dirty_link);
	if (tier == VIRTGPU_BO_TIER_RESOURCE) {
		list_del(&entry->owner_link);
		WRITE_ONCE(entry->owner->bytes,
			   entry->owner->bytes - entry->size);
	}
	entry->tier = VIRTGPU_BO_TIER_NONE;
	cache->held_bytes[tier] -= entry->size;
	cache->held_bos[tier]--;
	WRITE_ONCE(group->held_pages[tier],
		   group->held_pages[tier] - (entry->size >> PAGE_SHIFT));
	return tier;
}

static void virtgpu_bo_cache_begin_locked(struct virtgpu_bo_cache *cache,
					  struct virtgpu_bo_entry *entry)
{
	lockdep_assert_held(&cache->lock);
	entry->releasing = true;
	if (entry->group) {
		entry->group->releasing++;
		entry->group->coming[entry->bucket] += entry->keep_pages;
	}
	cache->release_bytes += entry->size;
	cache->release_bos++;
	cache->release_begun++;
}

static void virtgpu_bo_cache_doom(struct virtgpu_bo_cache *cache,
				  struct list_head *out,
				  enum virtgpu_bo_tier tier)
{
	lockdep_assert_held(&cache->lock);
	list_splice_tail_init(&out[tier], &cache->doomed[tier]);
	virtgpu_bo_cache_kick(cache);
}

static void virtgpu_bo_cache_count_evicted(struct virtgpu_bo_cache *cache,
					   struct virtgpu_bo_entry *entry,
					   enum virtgpu_bo_tier tier,
					   enum virtgpu_bo_evict reason)
{
	lockdep_assert_held(&cache->lock);
	cache->stats.evicted[reason]++;
	entry->counted = false;
	if (reason == VIRTGPU_BO_EVICT_EXPIRED)
		trace_bo_cache_expire(cache, entry, tier, reason);
	else
		trace_bo_cache_purge(cache, entry, tier, reason);
}

/*
 * The one way out: onto the list of its tier in @out, for
 * virtgpu_bo_cache_release() or the works.
 */
static void virtgpu_bo_cache_evict_one(struct virtgpu_bo_cache *cache,
				       struct virtgpu_bo_entry *entry,
				       enum virtgpu_bo_evict reason,
				       struct list_head *out)
{
	enum virtgpu_bo_tier tier = virtgpu_bo_cache_unlink(cache, entry);

	virtgpu_bo_cache_count_evicted(cache, entry, tier, reason);
	if (tier == VIRTGPU_BO_TIER_PURGEABLE) {
		cache->stats.dropped++;
		tier = VIRTGPU_BO_TIER_RESOURCE;
	}
	entry->keep_pages = false;
	virtgpu_bo_cache_begin_locked(cache, entry);
	list_add_tail(&entry->lru_link, &out[tier]);
}

/*
 * Whether an entry can be evicted.  If not it counts as just become purgeable, so
 * that it is looked at again, but not at once.
 */
static bool virtgpu_bo_cache_claim(struct virtgpu_bo_cache *cache,
				   struct virtgpu_bo_entry *entry)
{
	lockdep_assert_held(&cache->lock);
	if (entry->tier != VIRTGPU_BO_TIER_PURGEABLE ||
	    cache->ops->claim(entry))
		return true;
	entry->freed = ktime_get();
	list_move_tail(&entry->lru_link,
		       &entry->group->lru[VIRTGPU_BO_TIER_PURGEABLE]);
	return false;
}

/* A work may be at its pages still; it ends without anyone's help. */
static void virtgpu_bo_cache_wait_zeroing(struct virtgpu_bo_cache *cache,
					  struct virtgpu_bo_entry *entry)
{
	might_sleep();
	/* Pairs with the release in virtgpu_bo_cache_zero_one(). */
	wait_event(cache->wait, !smp_load_acquire(&entry->zeroing));
}

static void virtgpu_bo_cache_release(struct virtgpu_bo_cache *cache,
				     struct list_head *list,
				     enum virtgpu_bo_tier tier)
{
	struct virtgpu_bo_entry *entry;
	bool told = tier == VIRTGPU_BO_TIER_RESOURCE && !list_empty(list);

	while ((entry = list_first_entry_or_null(list, struct virtgpu_bo_entry,
						 lru_link))) {
		list_del(&entry->lru_link);
		virtgpu_bo_cache_wait_zeroing(cache, entry);
		cache->ops->release(cache, entry, tier);
	}
	if (told)
		cache->ops->flush(cache);
}

/* What is held of freed BOs.  Without the lock it is only a hint. */
static u64 virtgpu_bo_cache_held(const struct virtgpu_bo_cache *cache)
{
	return READ_ONCE(cache->held_bytes[VIRTGPU_BO_TIER_RESOURCE]) +
	       READ_ONCE(cache->held_bytes[VIRTGPU_BO_TIER_PAGES]);
}

/* All that can be had back, or is on its way. */
static u64 virtgpu_bo_cache_gettable(const struct virtgpu_bo_cache *cache)
{
	lockdep_assert_held(&cache->lock);
	return virtgpu_bo_cache_held(cache) + cache->release_bytes +
	       cache->held_bytes[VIRTGPU_BO_TIER_PURGEABLE];
}

/* Evict the oldest until @size more bytes fit. */
static void virtgpu_bo_cache_make_room(struct virtgpu_bo_cache *cache, u64 size,
				       struct list_head *out)
{
	struct virtgpu_bo_entry *entry;

	lockdep_assert_held(&cache->lock);
	while (virtgpu_bo_cache_held(cache) + size > cache->max_bytes) {
		entry = virtgpu_bo_cache_oldest(cache, VIRTGPU_BO_EVICT_FREED,
						NULL);
		if (!entry)
			break;
		virtgpu_bo_cache_evict_one(cache, entry,
					   VIRTGPU_BO_EVICT_LIMIT, out);
		virtgpu_bo_cache_kick(cache);
	}
}

static bool virtgpu_bo_cache_admit(struct virtgpu_bo_cache *cache,
				   struct virtgpu_bo_entry *entry,
				   enum virtgpu_bo_tier tier)
{
	lockdep_assert_held(&cache->lock);
	if (!virtgpu_bo_cache_active(cache) || !entry->group)
		return false;
	/* This one takes up memory that is not the cache's. */
	if (tier == VIRTGPU_BO_TIER_PURGEABLE)
		return true;
	if (!virtgpu_bo_cache_fits(cache, entry->size) ||
	    !entry->group->awake || virtgpu_bo_group_pressed(entry->group))
		return false;
	/* The file may have been closed since the driver looked. */
	return tier != VIRTGPU_BO_TIER_RESOURCE ||
	       (entry->owner && !entry->owner->closed);
}

/*
 * Make room and release what had to go in the caller's context, so that a
 * client which fills the cache pays what it would have paid for freeing.
 */
static void virtgpu_bo_cache_displace(struct virtgpu_bo_cache *cache, u64 size)
{
	struct list_head out[VIRTGPU_BO_TIERS];
	enum virtgpu_bo_tier tier;

	for (tier = 0; tier < VIRTGPU_BO_TIERS; tier++)
		INIT_LIST_HEAD(&out[tier]);

	spin_lock(&cache->lock);
	virtgpu_bo_cache_make_room(cache, size, out);
	spin_unlock(&cache->lock);

	for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS; tier++)
		virtgpu_bo_cache_release(cache, &out[tier], tier);
}

/**
 * virtgpu_bo_cache_put - take in a BO that nobody refers to any more, or needs
 * @cache: the cache
 * @entry: its entry, with @ident, @size, @freed, @res_id, @group and @owner set;
 *         without an owner it can't be in the resource tier
 * @tier: into which tier; for the pages tier the host has let go of it
 * @zeroed: its pages need not be zeroed: nobody has written to them since they
 *          were, or it is purgeable
 *
 * Older entries are evicted if @max_bytes asks for it; commands are sent for
 * that only when @tier is the resource tier.  Puts into the pages tier are made
 * where the host's answers arrive: nobody else could make room in the ring.
 *
 * Returns: false if it was not taken and still is the caller's.
 */
bool virtgpu_bo_cache_put(struct virtgpu_bo_cache *cache,
			  struct virtgpu_bo_entry *entry,
			  enum virtgpu_bo_tier tier, bool zeroed)
{
	if (tier == VIRTGPU_BO_TIER_RESOURCE &&
	    virtgpu_bo_cache_held(cache) + entry->size >
	    READ_ONCE(cache->max_bytes))
		virtgpu_bo_cache_displace(cache, entry->size);

	spin_lock(&cache->lock);
	if (!virtgpu_bo_cache_admit(cache, entry, tier)) {
		spin_unlock(&cache->lock);
		return false;
	}
	if (tier != VIRTGPU_BO_TIER_PURGEABLE)
		virtgpu_bo_cache_make_room(cache, entry->size, cache->doomed);
	if (!entry->counted) {
		entry->counted = true;
		cache->stats.puts++;
	}
	/* A purgeable one may be beyond the table, and is in none of its lists. */
	entry->bucket = virtgpu_bo_class(entry->size);
	entry->zeroed = zeroed;
	virtgpu_bo_cache_link(cache, entry, tier);
	trace_bo_cache_put(cache, entry, tier, 0);
	/*
	 * If it is armed, then for what is older, and goes on from there.  Only
	 * the pages tier gets entries that are older than those that are there.
	 */
	if (cache->due == KTIME_MAX || tier == VIRTGPU_BO_TIER_PAGES)
		virtgpu_bo_cache_arm_expiry(cache);
	if (!zeroed)
		queue_delayed_work(cache->wq, &cache->zero,
				   msecs_to_jiffies(ZERO_DELAY_MS));
	spin_unlock(&cache->lock);
	return true;
}

/* Whether a BO serves who asks for @size bytes of @want. */
static bool virtgpu_bo_cache_serves(const struct virtgpu_bo_entry *entry,
				    const struct virtgpu_bo_ident *want,
				    u64 size)
{
	const struct virtgpu_bo_ident *have = &entry->ident;
	bool fits;

	if (want->kind == VIRTGPU_BO_KIND_BUFFER)
		fits = entry->size >= size && have->width >= want->width &&
		       have->width - want->width <= want->width / 8;
	else
		fits = entry->size == size && have->width == want->width;
	return fits && !memcmp(&have->kind, &want->kind,
			       sizeof(*have) -
			       offsetof(struct virtgpu_bo_ident, kind));
}

/* What is handed out is the taker's alone; only its pages may need work. */
static void virtgpu_bo_cache_hand_out(struct virtgpu_bo_cache *cache,
				      struct virtgpu_bo_entry *entry)
{
	virtgpu_bo_cache_wait_zeroing(cache, entry);
	if (!entry->zeroed)
		cache->ops->zero(entry);
	entry->zeroed = true;
}

static void virtgpu_bo_cache_hit(struct virtgpu_bo_cache *cache,
				 struct virtgpu_bo_entry *entry)
{
	enum virtgpu_bo_tier tier = virtgpu_bo_cache_unlink(cache, entry);

	entry->counted = false;
	cache->stats.hits[tier]++;
	trace_bo_cache_hit(cache, entry, tier, 0);
}

/**
 * virtgpu_bo_cache_take_resource - look for a BO of the same owner and identity
 * @cache: the cache
 * @owner: who asks
 * @group: whom the pages of a new BO would be charged to
 * @ident: what he would have created
 * @size: bytes of backing he would have allocated
 *
 * Returns: the entry of a BO that is idle as when it was put, with zeroed pages
 * and its host resource; or NULL.
 */
struct virtgpu_bo_entry *
virtgpu_bo_cache_take_resource(struct virtgpu_bo_cache *cache,
			       const struct virtgpu_bo_owner *owner,
			       const struct virtgpu_bo_group *group,
			       const struct virtgpu_bo_ident *ident, u64 size)
{
	struct virtgpu_bo_entry *entry, *found = NULL;
	unsigned int scanned = 0;
	struct list_head *head;

	spin_lock(&cache->lock);
	head = virtgpu_bo_cache_ident_head(cache, owner, ident,
					   virtgpu_bo_bucket(size));
	list_for_each_entry(entry, head, bucket_link) {
		if (entry->owner == owner && entry->group == group &&
		    virtgpu_bo_cache_serves(entry, ident, size)) {
			found = entry;
			virtgpu_bo_cache_hit(cache, found);
			break;
		}
		if (++scanned == SCAN_MAX)
			break;
	}
	spin_unlock(&cache->lock);

	if (found)
		virtgpu_bo_cache_hand_out(cache, found);
	return found;
}

/**
 * virtgpu_bo_cache_take_pages - look for zeroed pages
 * @cache: the cache
 * @group: whom the pages of a new BO would be charged to
 * @size: bytes asked for
 * @exact: not a page more; else up to 1/8 more
 *
 * Returns: the entry of a BO without host resource, or NULL.
 */
struct virtgpu_bo_entry *
virtgpu_bo_cache_take_pages(struct virtgpu_bo_cache *cache,
			    struct virtgpu_bo_group *group, u64 size,
			    bool exact)
{
	unsigned int bucket = virtgpu_bo_bucket(size), scanned = 0;
	struct virtgpu_bo_entry *entry, *found = NULL;

	if (bucket >= VIRTGPU_BO_BUCKETS)
		return NULL;

	spin_lock(&cache->lock);
	list_for_each_entry(entry, &group->pages[bucket], bucket_link) {
		if (exact ? entry->size == size : entry->size >= size) {
			found = entry;
			virtgpu_bo_cache_hit(cache, found);
			break;
		}
		if (++scanned == SCAN_MAX)
			break;
	}
	spin_unlock(&cache->lock);

	if (found)
		virtgpu_bo_cache_hand_out(cache, found);
	return found;
}

/**
 * virtgpu_bo_cache_take_back - a client needs its purgeable BO again
 * @cache: the cache
 * @entry: the BO's entry
 *
 * Returns: false if it is not held: it never was or is being dropped.
 */
bool virtgpu_bo_cache_take_back(struct virtgpu_bo_cache *cache,
				struct virtgpu_bo_entry *entry)
{
	bool held;

	spin_lock(&cache->lock);
	held = entry->tier == VIRTGPU_BO_TIER_PURGEABLE;
	if (held)
		virtgpu_bo_cache_hit(cache, entry);
	spin_unlock(&cache->lock);
	return held;
}

/**
 * virtgpu_bo_cache_leave - the last reference to a BO is gone
 * @cache: the cache
 * @entry: the BO's entry; nothing happens if it is not purgeable
 */
void virtgpu_bo_cache_leave(struct virtgpu_bo_cache *cache,
			    struct virtgpu_bo_entry *entry)
{
	enum virtgpu_bo_tier tier = VIRTGPU_BO_TIER_PURGEABLE;

	/* It can't be claimed any more, so nobody else changes it. */
	if (entry->tier != tier)
		return;
	spin_lock(&cache->lock);
	virtgpu_bo_cache_unlink(cache, entry);
	virtgpu_bo_cache_count_evicted(cache, entry, tier,
				       VIRTGPU_BO_EVICT_CLOSED);
	spin_unlock(&cache->lock);
}

/* Why an entry of the wanted size class was not handed out. */
static enum virtgpu_bo_miss
virtgpu_bo_cache_why_not(const struct virtgpu_bo_entry *entry,
			 const struct virtgpu_bo_want *want)
{
	bool buffer = want->ident.kind == VIRTGPU_BO_KIND_BUFFER;

	if (buffer ? entry->size < want->size : entry->size != want->size)
		return VIRTGPU_BO_MISS_SIZE;
	if (entry->group != want->group)
		return VIRTGPU_BO_MISS_CGROUP;
	/* These pages have come since they were looked for. */
	if (entry->tier == VIRTGPU_BO_TIER_PAGES)
		return VIRTGPU_BO_MISS_BUSY;
	return entry->owner == want->owner ? VIRTGPU_BO_MISS_IDENT :
					     VIRTGPU_BO_MISS_OWNER;
}

/* Of one tier of one group, what is nearer to what is wanted than *NEAREST. */
static void virtgpu_bo_cache_nearest(const struct list_head *lru,
				     const struct virtgpu_bo_want *want,
				     struct virtgpu_bo_entry **nearest,
				     enum virtgpu_bo_miss *why)
{
	unsigned int bucket = virtgpu_bo_class(want->size), scanned = 0;
	struct virtgpu_bo_entry *entry;
	enum virtgpu_bo_miss miss;

	list_for_each_entry_reverse(entry, lru, lru_link) {
		if (++scanned > EXPLAIN_MAX)
			break;
		if (entry->bucket != bucket)
			continue;
		miss = virtgpu_bo_cache_why_not(entry, want);
		if (!*nearest || miss > *why) {
			*nearest = entry;
			*why = miss;
		}
	}
}

/* Looks at much of what is held, so for those who trace it only. */
static void virtgpu_bo_cache_explain(struct virtgpu_bo_cache *cache,
				     const struct virtgpu_bo_want *want)
{
	enum virtgpu_bo_miss why = VIRTGPU_BO_MISS_EMPTY;
	struct virtgpu_bo_entry *nearest = NULL;
	struct virtgpu_bo_group *group;
	enum virtgpu_bo_tier tier;

	lockdep_assert_held(&cache->lock);
	list_for_each_entry(group, &cache->groups, link)
		for (tier = VIRTGPU_BO_TIER_RESOURCE;
		     tier <= VIRTGPU_BO_TIER_PAGES; tier++)
			virtgpu_bo_cache_nearest(&group->lru[tier], want,
						 &nearest, &why);
	if (virtgpu_bo_group_pressed(want->group))
		why = VIRTGPU_BO_MISS_BACKOFF;
	else if (want->group->coming[virtgpu_bo_class(want->size)])
		why = VIRTGPU_BO_MISS_BUSY;
	trace_bo_cache_miss(cache, want, nearest, why);
}

/**
 * virtgpu_bo_cache_missed - count a create that found nothing in either tier
 * @cache: the cache
 * @want: what it asked for, with a group; it counts once
 */
void virtgpu_bo_cache_missed(struct virtgpu_bo_cache *cache,
			     struct virtgpu_bo_want *want)
{
	if (want->missed)
		return;
	want->missed = true;
	spin_lock(&cache->lock);
	cache->stats.misses++;
	if (trace_bo_cache_miss_enabled())
		virtgpu_bo_cache_explain(cache, want);
	spin_unlock(&cache->lock);
}

/**
 * virtgpu_bo_cache_rejected - count a freed BO that did not enter
 * @cache: the cache
 * @entry: its entry
 * @reason: why
 */
void virtgpu_bo_cache_rejected(struct virtgpu_bo_cache *cache,
			       const struct virtgpu_bo_entry *entry,
			       enum virtgpu_bo_reject reason)
{
	trace_bo_cache_reject(cache, entry, VIRTGPU_BO_TIER_NONE, reason);
	spin_lock(&cache->lock);
	cache->stats.rejected[reason]++;
	spin_unlock(&cache->lock);
}

/**
 * virtgpu_bo_cache_release_begin - a BO is on its way to the host for release
 * @cache: the cache
 * @entry: entry of a BO that was never in the cache
 */
void virtgpu_bo_cache_release_begin(struct virtgpu_bo_cache *cache,
				    struct virtgpu_bo_entry *entry)
{
	spin_lock(&cache->lock);
	virtgpu_bo_cache_begin_locked(cache, entry);
	spin_unlock(&cache->lock);
}

/**
 * virtgpu_bo_cache_answered - the host has answered about a release, or can't
 * @cache: the cache
 * @entry: entry of the BO that was to be released
 *
 * Returns: true if it was the cache that released it, not a client.
 */
bool virtgpu_bo_cache_answered(struct virtgpu_bo_cache *cache,
			       struct virtgpu_bo_entry *entry)
{
	if (!entry->windowed)
		return false;

	entry->windowed = false;
	spin_lock(&cache->lock);
	cache->window--;
	virtgpu_bo_cache_kick(cache);
	spin_unlock(&cache->lock);
	return true;
}

/**
 * virtgpu_bo_cache_reap - have the pages of a BO freed by a work
 * @cache: the cache
 * @entry: entry of a BO that is being released and that the host has answered
 *         about
 *
 * Clients wait for the host's answers, and should not wait for a thousand pages
 * to be freed in between.
 *
 * Returns: false if the caller has to free it: nothing is put off any more.
 */
bool virtgpu_bo_cache_reap(struct virtgpu_bo_cache *cache,
			   struct virtgpu_bo_entry *entry)
{
	bool later;

	spin_lock(&cache->lock);
	later = !cache->dead;
	if (later) {
		list_add_tail(&entry->lru_link,
			      &cache->doomed[VIRTGPU_BO_TIER_PAGES]);
		virtgpu_bo_cache_kick(cache);
	}
	spin_unlock(&cache->lock);
	return later;
}

/**
 * virtgpu_bo_cache_release_take - the host has let go of a BO, or never will
 * @cache: the cache
 * @entry: its entry; it may not have been on its way to the host at all
 *
 * Returns: what virtgpu_bo_cache_release_end() wants, when the entry may be
 * gone.
 */
u64 virtgpu_bo_cache_release_take(struct virtgpu_bo_cache *cache,
				  struct virtgpu_bo_entry *entry)
{
	struct virtgpu_bo_group *group = entry->group;

	if (!entry->releasing)
		return 0;
	virtgpu_bo_cache_answered(cache, entry);
	trace_bo_cache_retire(cache, entry, VIRTGPU_BO_TIER_NONE, 0);
	entry->releasing = false;
	if (group) {
		spin_lock(&cache->lock);
		group->releasing--;
		group->coming[entry->bucket] -= entry->keep_pages;
		if (cache->due == KTIME_MAX)
			virtgpu_bo_group_sleep(group);
		spin_unlock(&cache->lock);
	}
	return entry->size;
}

/**
 * virtgpu_bo_cache_release_end - a BO that was being released is not any more
 * @cache: the cache
 * @bytes: what virtgpu_bo_cache_release_take() returned; nothing happens if 0
 *
 * To be called when its pages are free, or before they enter the pages tier.
 */
void virtgpu_bo_cache_release_end(struct virtgpu_bo_cache *cache, u64 bytes)
{
	if (!bytes)
		return;

	spin_lock(&cache->lock);
	cache->release_bytes -= bytes;
	cache->release_bos--;
	cache->release_done++;
	spin_unlock(&cache->lock);
	wake_up_all(&cache->wait);
}

/**
 * virtgpu_bo_cache_lost - a demoted BO did not make it into the pages tier
 * @cache: the cache
 * @entry: its entry; nothing happens if it was not in the cache before
 * @reason: why
 */
void virtgpu_bo_cache_lost(struct virtgpu_bo_cache *cache,
			   struct virtgpu_bo_entry *entry,
			   enum virtgpu_bo_evict reason)
{
	if (!entry->counted)
		return;
	spin_lock(&cache->lock);
	virtgpu_bo_cache_count_evicted(cache, entry, VIRTGPU_BO_TIER_NONE,
				       reason);
	spin_unlock(&cache->lock);
}

/*
 * Evict up to a batch of what was freed by @until; @tiers and @memcg as for
 * virtgpu_bo_cache_oldest().  Returns whether there may be more.
 */
static bool virtgpu_bo_cache_evict_batch(struct virtgpu_bo_cache *cache,
					 unsigned int tiers,
					 const struct mem_cgroup *memcg,
					 ktime_t until,
					 enum virtgpu_bo_evict reason)
{
	struct virtgpu_bo_entry *entry;
	unsigned int n;

	lockdep_assert_held(&cache->lock);
	for (n = 0; n < EVICT_BATCH; n++) {
		entry = virtgpu_bo_cache_oldest(cache, tiers, memcg);
		if (!entry || ktime_after(entry->freed, until))
			break;
		if (virtgpu_bo_cache_claim(cache, entry))
			virtgpu_bo_cache_evict_one(cache, entry, reason,
						   cache->doomed);
	}
	virtgpu_bo_cache_kick(cache);
	return n == EVICT_BATCH;
}

static void virtgpu_bo_cache_evict_until(struct virtgpu_bo_cache *cache,
					 unsigned int tiers,
					 const struct mem_cgroup *memcg,
					 ktime_t until,
					 enum virtgpu_bo_evict reason)
{
	bool more;

	do {
		spin_lock(&cache->lock);
		more = virtgpu_bo_cache_evict_batch(cache, tiers, memcg, until,
						    reason);
		spin_unlock(&cache->lock);
	} while (more);
}

/**
 * virtgpu_bo_cache_evict - drop all that is held now
 * @cache: the cache
 * @tiers: of these tiers, VIRTGPU_BO_EVICT_RESOURCE and VIRTGPU_BO_EVICT_PAGES
 * @memcg: of what is charged to this cgroup, or of all if NULL
 * @reason: why
 *
 * Works release it; see virtgpu_bo_cache_flush().
 */
void virtgpu_bo_cache_evict(struct virtgpu_bo_cache *cache, unsigned int tiers,
			    const struct mem_cgroup *memcg,
			    enum virtgpu_bo_evict reason)
{
	virtgpu_bo_cache_evict_until(cache, tiers, memcg, ktime_get(), reason);
}

/* Up to a batch; see virtgpu_bo_cache_reclaim(). */
static unsigned long virtgpu_bo_cache_reclaim_batch
	(struct virtgpu_bo_cache *cache, const struct mem_cgroup *memcg,
	 unsigned long pages)
{
	struct list_head out[VIRTGPU_BO_TIERS];
	struct virtgpu_bo_entry *entry;
	enum virtgpu_bo_tier tier;
	unsigned long done = 0;
	unsigned int n;

	for (tier = 0; tier < VIRTGPU_BO_TIERS; tier++)
		INIT_LIST_HEAD(&out[tier]);

	spin_lock(&cache->lock);
	for (n = 0; n < EVICT_BATCH && done < pages; n++) {
		entry = virtgpu_bo_cache_oldest(cache, VIRTGPU_BO_EVICT_ALL,
						memcg);
		if (!entry)
			break;
		if (!virtgpu_bo_cache_claim(cache, entry))
			continue;
		done += entry->size >> PAGE_SHIFT;
		virtgpu_bo_group_back_off(entry->group);
		virtgpu_bo_cache_evict_one(cache, entry,
					   VIRTGPU_BO_EVICT_PRESSURE, out);
	}
	virtgpu_bo_cache_doom(cache, out, VIRTGPU_BO_TIER_RESOURCE);
	spin_unlock(&cache->lock);

	list_for_each_entry(entry, &out[VIRTGPU_BO_TIER_PAGES], lru_link)
		/* Pairs with the release in virtgpu_bo_cache_zero_one(). */
		if (!smp_load_acquire(&entry->zeroing))
			cache->ops->drop(entry);

	spin_lock(&cache->lock);
	virtgpu_bo_cache_doom(cache, out, VIRTGPU_BO_TIER_PAGES);
	spin_unlock(&cache->lock);
	return done;
}

/**
 * virtgpu_bo_cache_reclaim - give memory back because it is short
 * @cache: the cache
 * @memcg: of what is charged to this cgroup, or of all if NULL
 * @pages: how many, if there are so many
 *
 * What was freed first goes first.  The groups it is taken from are closed for a
 * while.  Called from memory reclaim: works do what takes time.  Only the pages of
 * the pages tier are freed at once.  A task that finds its cgroup full is killed
 * if it does not see it emptier after a few rounds of reclaim, and those have been
 * seen to be faster than a work.
 *
 * Returns: pages that are free, or on their way to it.
 */
unsigned long virtgpu_bo_cache_reclaim(struct virtgpu_bo_cache *cache,
				       const struct mem_cgroup *memcg,
				       unsigned long pages)
{
	unsigned long batch, done = 0;

	while (done < pages) {
		batch = virtgpu_bo_cache_reclaim_batch(cache, memcg,
						       pages - done);
		if (!batch)
			break;
		done += batch;
	}
	return done;
}

/**
 * virtgpu_bo_cache_evict_res - the host did not create or attach a resource
 * @cache: the cache
 * @res_id: the resource; nothing happens if the resource tier does not hold it
 *
 * Looks at all that is held, but the host seldom refuses anything.
 */
void virtgpu_bo_cache_evict_res(struct virtgpu_bo_cache *cache, u32 res_id)
{
	struct virtgpu_bo_entry *entry, *next;
	struct virtgpu_bo_group *group;

	spin_lock(&cache->lock);
	list_for_each_entry(group, &cache->groups, link) {
		list_for_each_entry_safe(entry, next,
					 &group->lru[VIRTGPU_BO_TIER_RESOURCE],
					 lru_link) {
			if (entry->res_id == res_id)
				virtgpu_bo_cache_evict_one
					(cache, entry,
					 VIRTGPU_BO_EVICT_REFUSED,
					 cache->doomed);
		}
	}
	virtgpu_bo_cache_kick(cache);
	spin_unlock(&cache->lock);
}

static void virtgpu_bo_cache_demote(struct virtgpu_bo_cache *cache,
				    struct virtgpu_bo_entry *entry)
{
	virtgpu_bo_cache_unlink(cache, entry);
	cache->stats.demotions++;
	trace_bo_cache_demote(cache, entry, VIRTGPU_BO_TIER_RESOURCE, 0);
	entry->keep_pages = true;
	virtgpu_bo_cache_begin_locked(cache, entry);
	list_add_tail(&entry->lru_link,
		      &cache->doomed[VIRTGPU_BO_TIER_RESOURCE]);
}

/**
 * virtgpu_bo_cache_close_owner - an owner's file is being closed
 * @cache: the cache
 * @owner: the owner; the file's reference stays the caller's to drop
 *
 * What it has in the resource tier goes to the pages tier by way of the host,
 * and nothing of it enters the resource tier any more.
 */
void virtgpu_bo_cache_close_owner(struct virtgpu_bo_cache *cache,
				  struct virtgpu_bo_owner *owner)
{
	struct virtgpu_bo_entry *entry, *next;
	unsigned int n;
	bool more;

	do {
		n = 0;
		spin_lock(&cache->lock);
		owner->closed = true;
		list_for_each_entry_safe(entry, next, &owner->entries,
					 owner_link) {
			virtgpu_bo_cache_demote(cache, entry);
			if (++n == EVICT_BATCH)
				break;
		}
		virtgpu_bo_cache_kick(cache);
		more = !list_empty(&owner->entries);
		spin_unlock(&cache->lock);
	} while (more);
	trace_bo_cache_close(cache, owner);
}

static void virtgpu_bo_cache_clock(struct work_struct *work)
{
	struct virtgpu_bo_cache *cache =
		container_of(to_delayed_work(work), struct virtgpu_bo_cache,
			     clock);
	ktime_t until;

	spin_lock(&cache->lock);
	cache->due = KTIME_MAX;
	until = ktime_sub_ms(ktime_get(), virtgpu_bo_cache_keep_ms(cache));
	spin_unlock(&cache->lock);

	virtgpu_bo_cache_evict_until(cache, VIRTGPU_BO_EVICT_ALL, NULL, until,
				     VIRTGPU_BO_EVICT_EXPIRED);

	spin_lock(&cache->lock);
	virtgpu_bo_cache_sleep(cache, until);
	virtgpu_bo_cache_arm_expiry(cache);
	spin_unlock(&cache->lock);
	virtgpu_bo_groups_forget(cache, false);
}

static void virtgpu_bo_cache_retire(struct work_struct *work)
{
	struct virtgpu_bo_cache *cache =
		container_of(work, struct virtgpu_bo_cache, retire);
	struct list_head *doomed = &cache->doomed[VIRTGPU_BO_TIER_RESOURCE];
	struct virtgpu_bo_entry *entry, *next;
	LIST_HEAD(out);

	spin_lock(&cache->lock);
	list_for_each_entry_safe(entry, next, doomed, lru_link) {
		if (cache->window >= cache->window_max)
			break;
		cache->window++;
		entry->windowed = true;
		list_move_tail(&entry->lru_link, &out);
	}
	spin_unlock(&cache->lock);

	virtgpu_bo_cache_release(cache, &out, VIRTGPU_BO_TIER_RESOURCE);
}

static void virtgpu_bo_cache_reap_work(struct work_struct *work)
{
	struct virtgpu_bo_cache *cache =
		container_of(work, struct virtgpu_bo_cache, reap);
	LIST_HEAD(out);

	spin_lock(&cache->lock);
	list_splice_init(&cache->doomed[VIRTGPU_BO_TIER_PAGES], &out);
	spin_unlock(&cache->lock);

	virtgpu_bo_cache_release(cache, &out, VIRTGPU_BO_TIER_PAGES);
}

/* Returns false when there was nothing to zero. */
static bool virtgpu_bo_cache_zero_one(struct virtgpu_bo_cache *cache)
{
	struct virtgpu_bo_entry *entry;

	spin_lock(&cache->lock);
	entry = list_first_entry_or_null(&cache->dirty, struct virtgpu_bo_entry,
					 dirty_link);
	if (entry) {
		list_del_init(&entry->dirty_link);
		entry->zeroing = true;
	}
	spin_unlock(&cache->lock);
	if (!entry)
		return false;

	cache->ops->zero(entry);
	entry->zeroed = true;
	/*
	 * From here on the entry may be gone.  Pairs with the acquire in
	 * virtgpu_bo_cache_wait_zeroing().
	 */
	smp_store_release(&entry->zeroing, false);
	wake_up_all(&cache->wait);
	return true;
}

static void virtgpu_bo_cache_zero_work(struct work_struct *work)
{
	struct virtgpu_bo_cache *cache =
		container_of(to_delayed_work(work), struct virtgpu_bo_cache,
			     zero);

	while (virtgpu_bo_cache_zero_one(cache))
		cond_resched();
}

/**
 * virtgpu_bo_cache_idle - whether the cache holds nothing and waits for nothing
 * @cache: the cache
 *
 * Returns: true if so.
 */
bool virtgpu_bo_cache_idle(struct virtgpu_bo_cache *cache)
{
	bool idle;

	spin_lock(&cache->lock);
	idle = !virtgpu_bo_cache_gettable(cache);
	spin_unlock(&cache->lock);
	return idle;
}

static bool virtgpu_bo_cache_released_until(struct virtgpu_bo_cache *cache,
					    u64 begun)
{
	bool done;

	spin_lock(&cache->lock);
	done = cache->release_done >= begun;
	spin_unlock(&cache->lock);
	return done;
}

static u64 virtgpu_bo_cache_release_mark(struct virtgpu_bo_cache *cache)
{
	u64 begun;

	spin_lock(&cache->lock);
	begun = cache->release_begun;
	spin_unlock(&cache->lock);
	return begun;
}

/**
 * virtgpu_bo_cache_flush - wait for as many releases as have begun by now
 * @cache: the cache
 *
 * Returns: 0, -ERESTARTSYS if the task was killed, -ETIME if the host did not
 * answer in time (ten seconds).
 */
int virtgpu_bo_cache_flush(struct virtgpu_bo_cache *cache)
{
	u64 mark = virtgpu_bo_cache_release_mark(cache);
	long ret;

	ret = wait_event_killable_timeout
		(cache->wait, virtgpu_bo_cache_released_until(cache, mark),
		 msecs_to_jiffies(RELEASE_TIMEOUT_MS));
	if (ret < 0)
		return ret;
	return ret ? 0 : -ETIME;
}

/**
 * virtgpu_bo_cache_oom - give all back before something is killed for memory
 * @cache: the cache
 *
 * Unlike reclaim it may wait a moment for the host.
 *
 * Returns: bytes freed.
 */
u64 virtgpu_bo_cache_oom(struct virtgpu_bo_cache *cache)
{
	u64 before, after, mark;

	spin_lock(&cache->lock);
	before = virtgpu_bo_cache_gettable(cache);
	spin_unlock(&cache->lock);
	if (!before)
		return 0;

	virtgpu_bo_cache_reclaim(cache, NULL, ULONG_MAX);
	mark = virtgpu_bo_cache_release_mark(cache);
	wait_event_timeout(cache->wait,
			   virtgpu_bo_cache_released_until(cache, mark),
			   msecs_to_jiffies(OOM_TIMEOUT_MS));

	spin_lock(&cache->lock);
	after = virtgpu_bo_cache_gettable(cache);
	spin_unlock(&cache->lock);
	return before - min(before, after);
}

static bool virtgpu_bo_cache_is_drained(struct virtgpu_bo_cache *cache)
{
	enum virtgpu_bo_tier tier;
	bool drained;

	spin_lock(&cache->lock);
	drained = !cache->window;
	for (tier = 0; tier < VIRTGPU_BO_TIERS; tier++)
		drained &= list_empty(&cache->doomed[tier]);
	spin_unlock(&cache->lock);
	return drained;
}

/**
 * virtgpu_bo_cache_kill - drop all, let nothing in any more, wait
 * @cache: the cache
 *
 * What clients have released themselves is not waited for.
 *
 * Returns: false if the host stopped answering (for a second).
 */
bool virtgpu_bo_cache_kill(struct virtgpu_bo_cache *cache)
{
	u64 done;

	spin_lock(&cache->lock);
	cache->dead = true;
	spin_unlock(&cache->lock);
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL, NULL,
			       VIRTGPU_BO_EVICT_DRAIN);
	do {
		done = READ_ONCE(cache->release_done);
		if (wait_event_timeout(cache->wait,
				       virtgpu_bo_cache_is_drained(cache),
				       msecs_to_jiffies(STALL_MS)))
			return true;
	} while (READ_ONCE(cache->release_done) != done);
	return false;
}

/**
 * virtgpu_bo_cache_abandon - the host is out of reach, release what is left
 * @cache: the cache, killed
 *
 * Commands must fail at once by now.
 */
void virtgpu_bo_cache_abandon(struct virtgpu_bo_cache *cache)
{
	spin_lock(&cache->lock);
	cache->dead = true;
	cache->window_max = UINT_MAX;
	spin_unlock(&cache->lock);
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL, NULL,
			       VIRTGPU_BO_EVICT_DRAIN);
	cancel_delayed_work_sync(&cache->clock);
	cancel_delayed_work_sync(&cache->zero);
	/* One that runs may have seen the old window. */
	flush_work(&cache->retire);
	virtgpu_bo_cache_retire(&cache->retire);
	flush_work(&cache->reap);
}

static void virtgpu_bo_cache_empty_if_off(struct virtgpu_bo_cache *cache)
{
	if (virtgpu_bo_cache_active(cache))
		return;
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL, NULL,
			       VIRTGPU_BO_EVICT_DISABLED);
	/* The clock may be armed for a time that does not count any more. */
	spin_lock(&cache->lock);
	virtgpu_bo_cache_arm_expiry(cache);
	spin_unlock(&cache->lock);
}

/**
 * virtgpu_bo_cache_set_enabled - switch the cache on or off
 * @cache: the cache
 * @on: what to do
 *
 * When it is switched off, what it holds is dropped.
 */
void virtgpu_bo_cache_set_enabled(struct virtgpu_bo_cache *cache, bool on)
{
	spin_lock(&cache->lock);
	WRITE_ONCE(cache->enabled, on);
	spin_unlock(&cache->lock);
	virtgpu_bo_cache_empty_if_off(cache);
}

/**
 * virtgpu_bo_cache_set_timeout - set how long freed BOs are kept
 * @cache: the cache
 * @ms: milliseconds, at most VIRTGPU_BO_TIMEOUT_MAX_MS; 0 switches it off
 */
void virtgpu_bo_cache_set_timeout(struct virtgpu_bo_cache *cache, u32 ms)
{
	spin_lock(&cache->lock);
	WRITE_ONCE(cache->timeout_ms, ms);
	if (ms && cache->due != KTIME_MAX) {
		/* It may be armed for what is gone, too late for what comes. */
		virtgpu_bo_cache_arm(cache, ktime_add_ms(ktime_get(), ms));
		virtgpu_bo_cache_arm_expiry(cache);
	}
	spin_unlock(&cache->lock);
	virtgpu_bo_cache_empty_if_off(cache);
}

/**
 * virtgpu_bo_cache_set_limit - set how much may be held
 * @cache: the cache
 * @bytes: limit over both tiers
 */
void virtgpu_bo_cache_set_limit(struct virtgpu_bo_cache *cache, u64 bytes)
{
	spin_lock(&cache->lock);
	WRITE_ONCE(cache->max_bytes, bytes);
	virtgpu_bo_cache_make_room(cache, 0, cache->doomed);
	spin_unlock(&cache->lock);
}

/**
 * virtgpu_bo_cache_init - set up an empty cache, switched off
 * @cache: the cache, zeroed
 * @ops: the driver's part
 * @dev: number of the device, for trace events
 *
 * Returns: 0, or -ENOMEM: it then can be asked but never lets anything in.
 */
int virtgpu_bo_cache_init(struct virtgpu_bo_cache *cache,
			  const struct virtgpu_bo_cache_ops *ops, u32 dev)
{
	unsigned int i;

	spin_lock_init(&cache->lock);
	init_waitqueue_head(&cache->wait);
	INIT_DELAYED_WORK(&cache->clock, virtgpu_bo_cache_clock);
	INIT_DELAYED_WORK(&cache->zero, virtgpu_bo_cache_zero_work);
	INIT_WORK(&cache->retire, virtgpu_bo_cache_retire);
	INIT_WORK(&cache->reap, virtgpu_bo_cache_reap_work);
	INIT_LIST_HEAD(&cache->groups);
	for (i = 0; i < VIRTGPU_BO_IDENT_HEADS; i++)
		INIT_LIST_HEAD(&cache->idents[i]);
	for (i = 0; i < VIRTGPU_BO_TIERS; i++)
		INIT_LIST_HEAD(&cache->doomed[i]);
	INIT_LIST_HEAD(&cache->dirty);
	cache->due = KTIME_MAX;
	cache->window_max = WINDOW_MAX;
	cache->ops = ops;
	cache->dev = dev;
	cache->wq = alloc_workqueue("virtgpu_bo_cache",
				    WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	cache->host_wq = alloc_workqueue("virtgpu_bo_host",
					 WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (cache->wq && cache->host_wq &&
	    !virtgpu_bo_cache_reclaim_init(cache) &&
	    !virtgpu_bo_groups_init(cache))
		return 0;
	virtgpu_bo_cache_fini(cache);
	return -ENOMEM;
}

/**
 * virtgpu_bo_cache_fini - take down a cache that has been killed
 * @cache: the cache; may not have been set up
 */
void virtgpu_bo_cache_fini(struct virtgpu_bo_cache *cache)
{
	cache->dead = true;
	virtgpu_bo_cache_reclaim_fini(cache);
	virtgpu_bo_groups_fini(cache);
	cancel_delayed_work_sync(&cache->clock);
	cancel_delayed_work_sync(&cache->zero);
	if (cache->host_wq)
		destroy_workqueue(cache->host_wq);
	if (cache->wq)
		destroy_workqueue(cache->wq);
	cache->host_wq = NULL;
	cache->wq = NULL;
}
