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
 * A delayed work drops what is older than &virtgpu_bo_cache.timeout_ms.  It also
 * zeroes pages soon after they were freed, so that creates need not, and tells
 * the host about what was dropped, a bounded number at a time, so that a
 * client's command never waits behind a thousand of ours.
 *
 * Lock order: &virtgpu_bo_cache.lock is innermost but for the workqueue's own.
 */

#include <linux/hash.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "virtgpu_bo_cache.h"
#include "virtgpu_bo_cache_trace.h"
#include "virtgpu_compat.h"

/*
 * How long pages wait to be zeroed by the worker.  Longer than a client takes
 * from a free to the create that follows it, so that a tight loop does not race
 * with the worker, and far shorter than any useful timeout.
 */
#define ZERO_DELAY_MS 10

/*
 * Releases that the worker may have with the host at a time, and how many it
 * waits for before it sends more.  An eighth of the ring QEMU offers with
 * virgl, half of its 2D ring.
 */
#define WINDOW_MAX 32
#define WINDOW_REFILL (WINDOW_MAX / 2)

/* How far a look-up goes into a list; bounds the time under the lock. */
#define SCAN_MAX 64

/* How many entries are evicted before the lock is dropped for a moment. */
#define EVICT_BATCH 32

/* How long to wait for a host that does not answer, milliseconds. */
#define RELEASE_TIMEOUT_MS 10000

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

/* Make the worker run at @due, unless it runs sooner anyway. */
static void virtgpu_bo_cache_arm(struct virtgpu_bo_cache *cache, ktime_t due)
{
	s64 delay_ms;

	lockdep_assert_held(&cache->lock);
	if (!ktime_before(due, cache->due))
		return;
	cache->due = due;
	delay_ms = ktime_ms_delta(due, ktime_get());
	mod_delayed_work(cache->wq, &cache->work,
			 delay_ms > 0 ? msecs_to_jiffies(delay_ms) + 1 : 0);
}

/* Let the worker release what is doomed. */
static void virtgpu_bo_cache_kick(struct virtgpu_bo_cache *cache)
{
	if (!list_empty(&cache->doomed[VIRTGPU_BO_TIER_RESOURCE]) ||
	    !list_empty(&cache->doomed[VIRTGPU_BO_TIER_PAGES]))
		virtgpu_bo_cache_arm(cache, ktime_get());
}

static ktime_t virtgpu_bo_cache_expiry(const struct virtgpu_bo_cache *cache,
				       const struct virtgpu_bo_entry *entry)
{
	return ktime_add_ms(entry->freed, cache->timeout_ms);
}

/*
 * Arm for the oldest entry, and a little later than it needs, so that one run
 * serves all that were freed in a burst.
 */
static void virtgpu_bo_cache_arm_expiry(struct virtgpu_bo_cache *cache)
{
	struct virtgpu_bo_entry *entry;
	enum virtgpu_bo_tier tier;
	ktime_t due;

	lockdep_assert_held(&cache->lock);
	for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS; tier++) {
		entry = list_first_entry_or_null(&cache->lru[tier],
						 struct virtgpu_bo_entry,
						 lru_link);
		if (!entry)
			continue;
		due = virtgpu_bo_cache_expiry(cache, entry);
		virtgpu_bo_cache_arm(cache,
				     ktime_add_ms(due, cache->timeout_ms / 32));
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

/* First freed first, also when an entry comes late from the other tier. */
static void virtgpu_bo_cache_add_lru(struct list_head *lru,
				     struct virtgpu_bo_entry *entry)
{
	struct virtgpu_bo_entry *prev;

	list_for_each_entry_reverse(prev, lru, lru_link)
		if (!ktime_after(prev->freed, entry->freed))
			break;
	list_add(&entry->lru_link, &prev->lru_link);
}

static void virtgpu_bo_cache_link(struct virtgpu_bo_cache *cache,
				  struct virtgpu_bo_entry *entry,
				  enum virtgpu_bo_tier tier)
{
	struct list_head *head = &cache->pages[entry->bucket];

	lockdep_assert_held(&cache->lock);
	entry->tier = tier;
	if (tier == VIRTGPU_BO_TIER_RESOURCE) {
		head = virtgpu_bo_cache_ident_head(cache, entry->owner,
						   &entry->ident,
						   entry->bucket);
		list_add_tail(&entry->owner_link, &entry->owner->entries);
	}
	/* Last freed is handed out first: the rest may get old and go. */
	list_add(&entry->bucket_link, head);
	virtgpu_bo_cache_add_lru(&cache->lru[tier], entry);
	if (!entry->zeroed)
		list_add_tail(&entry->dirty_link, &cache->dirty);
	else
		INIT_LIST_HEAD(&entry->dirty_link);
	cache->held_bytes[tier] += entry->size;
	cache->held_bos[tier]++;
}

/* Returns the tier it was in. */
static enum virtgpu_bo_tier
virtgpu_bo_cache_unlink(struct virtgpu_bo_cache *cache,
			struct virtgpu_bo_entry *entry)
{
	enum virtgpu_bo_tier tier = entry->tier;

	lockdep_assert_held(&cache->lock);
	list_del(&entry->bucket_link);
	list_del(&entry->lru_link);
	list_del_init(&entry->dirty_link);
	if (tier == VIRTGPU_BO_TIER_RESOURCE)
		list_del(&entry->owner_link);
	entry->tier = VIRTGPU_BO_TIER_NONE;
	cache->held_bytes[tier] -= entry->size;
	cache->held_bos[tier]--;
	return tier;
}

static void virtgpu_bo_cache_begin_locked(struct virtgpu_bo_cache *cache,
					  struct virtgpu_bo_entry *entry)
{
	lockdep_assert_held(&cache->lock);
	entry->releasing = true;
	cache->release_bytes += entry->size;
	cache->release_bos++;
	cache->release_begun++;
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
 * virtgpu_bo_cache_release() or the worker.
 */
static void virtgpu_bo_cache_evict_one(struct virtgpu_bo_cache *cache,
				       struct virtgpu_bo_entry *entry,
				       enum virtgpu_bo_evict reason,
				       struct list_head *out)
{
	enum virtgpu_bo_tier tier = virtgpu_bo_cache_unlink(cache, entry);

	virtgpu_bo_cache_count_evicted(cache, entry, tier, reason);
	virtgpu_bo_cache_begin_locked(cache, entry);
	entry->keep_pages = false;
	list_add_tail(&entry->lru_link, &out[tier]);
}

/* The worker may be at its pages still; it ends without anyone's help. */
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
	struct virtgpu_bo_entry *entry, *next;
	bool any = !list_empty(list);

	list_for_each_entry_safe(entry, next, list, lru_link) {
		virtgpu_bo_cache_wait_zeroing(cache, entry);
		cache->ops->release(cache, entry, tier);
	}
	if (any)
		cache->ops->flush(cache);
}

static struct virtgpu_bo_entry *
virtgpu_bo_cache_oldest(struct virtgpu_bo_cache *cache)
{
	struct virtgpu_bo_entry *a, *b;

	lockdep_assert_held(&cache->lock);
	a = list_first_entry_or_null(&cache->lru[VIRTGPU_BO_TIER_RESOURCE],
				     struct virtgpu_bo_entry, lru_link);
	b = list_first_entry_or_null(&cache->lru[VIRTGPU_BO_TIER_PAGES],
				     struct virtgpu_bo_entry, lru_link);
	if (!a || !b)
		return a ?: b;
	return ktime_before(b->freed, a->freed) ? b : a;
}

/* Without the lock it is only a hint. */
static u64 virtgpu_bo_cache_held(const struct virtgpu_bo_cache *cache)
{
	return READ_ONCE(cache->held_bytes[VIRTGPU_BO_TIER_RESOURCE]) +
	       READ_ONCE(cache->held_bytes[VIRTGPU_BO_TIER_PAGES]);
}

/* Evict the oldest until @size more bytes fit. */
static void virtgpu_bo_cache_make_room(struct virtgpu_bo_cache *cache, u64 size,
				       struct list_head *out)
{
	struct virtgpu_bo_entry *entry;

	lockdep_assert_held(&cache->lock);
	while (virtgpu_bo_cache_held(cache) + size > cache->max_bytes) {
		entry = virtgpu_bo_cache_oldest(cache);
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
	if (!virtgpu_bo_cache_active(cache) ||
	    !virtgpu_bo_cache_fits(cache, entry->size))
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
 * virtgpu_bo_cache_put - take in a BO that nobody refers to any more
 * @cache: the cache
 * @entry: its entry, with @ident, @size, @freed, @res_id and @owner set; without
 *         an owner it can only be in the pages tier
 * @tier: into which tier; for the pages tier the host has let go of it
 * @zeroed: nobody has written to its pages since they were last zero
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
	virtgpu_bo_cache_make_room(cache, entry->size, cache->doomed);
	if (!entry->counted) {
		entry->counted = true;
		cache->stats.puts++;
	}
	entry->bucket = virtgpu_bo_bucket(entry->size);
	entry->zeroed = zeroed;
	virtgpu_bo_cache_link(cache, entry, tier);
	trace_bo_cache_put(cache, entry, tier, 0);
	/* If it is armed, then for what is older, and goes on from there. */
	if (cache->due == KTIME_MAX)
		virtgpu_bo_cache_arm_expiry(cache);
	if (!zeroed)
		virtgpu_bo_cache_arm(cache, ktime_add_ms(ktime_get(),
							 ZERO_DELAY_MS));
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
 * @ident: what he would have created
 * @size: bytes of backing he would have allocated
 *
 * Returns: the entry of a BO that is idle as when it was put, with zeroed pages
 * and its host resource; or NULL.
 */
struct virtgpu_bo_entry *
virtgpu_bo_cache_take_resource(struct virtgpu_bo_cache *cache,
			       const struct virtgpu_bo_owner *owner,
			       const struct virtgpu_bo_ident *ident, u64 size)
{
	struct virtgpu_bo_entry *entry, *found = NULL;
	unsigned int scanned = 0;
	struct list_head *head;

	spin_lock(&cache->lock);
	head = virtgpu_bo_cache_ident_head(cache, owner, ident,
					   virtgpu_bo_bucket(size));
	list_for_each_entry(entry, head, bucket_link) {
		if (entry->owner == owner &&
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
 * @size: bytes asked for
 * @exact: not a page more; else up to 1/8 more
 *
 * Returns: the entry of a BO without host resource, or NULL.
 */
struct virtgpu_bo_entry *
virtgpu_bo_cache_take_pages(struct virtgpu_bo_cache *cache, u64 size,
			    bool exact)
{
	unsigned int bucket = virtgpu_bo_bucket(size), scanned = 0;
	struct virtgpu_bo_entry *entry, *found = NULL;

	if (bucket >= VIRTGPU_BO_BUCKETS)
		return NULL;

	spin_lock(&cache->lock);
	list_for_each_entry(entry, &cache->pages[bucket], bucket_link) {
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
 * virtgpu_bo_cache_missed - count a create that found nothing in either tier
 * @cache: the cache
 * @size: bytes of backing it asked for
 */
void virtgpu_bo_cache_missed(struct virtgpu_bo_cache *cache, u64 size)
{
	trace_bo_cache_miss(cache, size, virtgpu_bo_bucket(size));
	spin_lock(&cache->lock);
	cache->stats.misses++;
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
 * virtgpu_bo_cache_release_take - the host has let go of a BO, or never will
 * @cache: the cache
 * @entry: its entry; it may not have been on its way to the host at all
 * @release: for virtgpu_bo_cache_release_end(), when the entry may be gone
 */
void virtgpu_bo_cache_release_take(struct virtgpu_bo_cache *cache,
				   struct virtgpu_bo_entry *entry,
				   struct virtgpu_bo_release *release)
{
	*release = (struct virtgpu_bo_release) {};
	if (!entry->releasing)
		return;
	trace_bo_cache_retire(cache, entry, VIRTGPU_BO_TIER_NONE, 0);
	release->bytes = entry->size;
	release->windowed = entry->windowed;
	entry->releasing = false;
	entry->windowed = false;
}

/**
 * virtgpu_bo_cache_release_end - a BO that was being released is not any more
 * @cache: the cache
 * @release: as virtgpu_bo_cache_release_take() filled it in
 *
 * To be called when its pages are free, or before they enter the pages tier.  It
 * takes no lock but the cache's and sends nothing: the host's answers arrive by
 * it.
 */
void virtgpu_bo_cache_release_end(struct virtgpu_bo_cache *cache,
				  const struct virtgpu_bo_release *release)
{
	if (!release->bytes)
		return;

	spin_lock(&cache->lock);
	cache->release_bytes -= release->bytes;
	cache->release_bos--;
	cache->release_done++;
	if (release->windowed) {
		cache->window--;
		if (cache->window <= WINDOW_REFILL)
			virtgpu_bo_cache_kick(cache);
	}
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
	virtgpu_bo_cache_count_evicted(cache, entry, VIRTGPU_BO_TIER_PAGES,
				       reason);
	spin_unlock(&cache->lock);
}

/*
 * Evict up to a batch of what @tier holds and was freed by @until.  Returns
 * whether there may be more.
 */
static bool virtgpu_bo_cache_evict_batch(struct virtgpu_bo_cache *cache,
					 enum virtgpu_bo_tier tier,
					 ktime_t until,
					 enum virtgpu_bo_evict reason)
{
	struct virtgpu_bo_entry *entry, *next;
	unsigned int n = 0;

	lockdep_assert_held(&cache->lock);
	list_for_each_entry_safe(entry, next, &cache->lru[tier], lru_link) {
		if (n++ == EVICT_BATCH)
			return true;
		if (ktime_after(entry->freed, until))
			return false;
		virtgpu_bo_cache_evict_one(cache, entry, reason, cache->doomed);
	}
	return false;
}

/**
 * virtgpu_bo_cache_evict - drop all that is held now
 * @cache: the cache
 * @tiers: of these tiers, VIRTGPU_BO_EVICT_RESOURCE and VIRTGPU_BO_EVICT_PAGES
 * @reason: why
 *
 * The worker releases it; see virtgpu_bo_cache_flush().
 */
void virtgpu_bo_cache_evict(struct virtgpu_bo_cache *cache, unsigned int tiers,
			    enum virtgpu_bo_evict reason)
{
	ktime_t now = ktime_get();
	enum virtgpu_bo_tier tier;
	bool more;

	for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS; tier++) {
		if (!(tiers & BIT(tier)))
			continue;
		do {
			spin_lock(&cache->lock);
			more = virtgpu_bo_cache_evict_batch(cache, tier, now,
							    reason);
			virtgpu_bo_cache_kick(cache);
			spin_unlock(&cache->lock);
		} while (more);
	}
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
	struct virtgpu_bo_entry *entry;

	spin_lock(&cache->lock);
	list_for_each_entry(entry, &cache->lru[VIRTGPU_BO_TIER_RESOURCE],
			    lru_link) {
		if (entry->res_id != res_id)
			continue;
		virtgpu_bo_cache_evict_one(cache, entry,
					   VIRTGPU_BO_EVICT_REFUSED,
					   cache->doomed);
		virtgpu_bo_cache_kick(cache);
		break;
	}
	spin_unlock(&cache->lock);
}

static void virtgpu_bo_cache_demote(struct virtgpu_bo_cache *cache,
				    struct virtgpu_bo_entry *entry)
{
	virtgpu_bo_cache_unlink(cache, entry);
	cache->stats.demotions++;
	trace_bo_cache_demote(cache, entry, VIRTGPU_BO_TIER_RESOURCE, 0);
	virtgpu_bo_cache_begin_locked(cache, entry);
	entry->keep_pages = true;
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
}

static void virtgpu_bo_cache_expire(struct virtgpu_bo_cache *cache)
{
	ktime_t until = ktime_sub_ms(ktime_get(), READ_ONCE(cache->timeout_ms));
	enum virtgpu_bo_tier tier;
	bool more;

	for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS; tier++) {
		do {
			spin_lock(&cache->lock);
			more = virtgpu_bo_cache_evict_batch
				(cache, tier, until, VIRTGPU_BO_EVICT_EXPIRED);
			spin_unlock(&cache->lock);
		} while (more);
	}
}

/* Move what may be released now to @out. */
static void virtgpu_bo_cache_next_doomed(struct virtgpu_bo_cache *cache,
					 struct list_head *out,
					 enum virtgpu_bo_tier tier)
{
	struct virtgpu_bo_entry *entry, *next;

	spin_lock(&cache->lock);
	if (tier == VIRTGPU_BO_TIER_PAGES)
		list_splice_tail_init(&cache->doomed[tier], out);
	list_for_each_entry_safe(entry, next, &cache->doomed[tier], lru_link) {
		if (cache->window >= cache->window_max)
			break;
		cache->window++;
		entry->windowed = true;
		list_move_tail(&entry->lru_link, out);
	}
	spin_unlock(&cache->lock);
}

static void virtgpu_bo_cache_release_doomed(struct virtgpu_bo_cache *cache)
{
	enum virtgpu_bo_tier tier;
	LIST_HEAD(out);

	for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS; tier++) {
		virtgpu_bo_cache_next_doomed(cache, &out, tier);
		virtgpu_bo_cache_release(cache, &out, tier);
		INIT_LIST_HEAD(&out);
	}
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

static void virtgpu_bo_cache_work(struct work_struct *work)
{
	struct virtgpu_bo_cache *cache =
		container_of(to_delayed_work(work), struct virtgpu_bo_cache,
			     work);

	spin_lock(&cache->lock);
	cache->due = KTIME_MAX;
	spin_unlock(&cache->lock);

	do {
		virtgpu_bo_cache_expire(cache);
		virtgpu_bo_cache_release_doomed(cache);
	} while (virtgpu_bo_cache_zero_one(cache));

	spin_lock(&cache->lock);
	virtgpu_bo_cache_arm_expiry(cache);
	spin_unlock(&cache->lock);
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
	idle = !virtgpu_bo_cache_oldest(cache) && !cache->release_bos;
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
 * virtgpu_bo_cache_kill - drop all, let nothing in any more, wait
 * @cache: the cache
 *
 * Returns: false if the host did not answer in time (ten seconds).
 */
bool virtgpu_bo_cache_kill(struct virtgpu_bo_cache *cache)
{
	u64 mark;

	spin_lock(&cache->lock);
	cache->dead = true;
	spin_unlock(&cache->lock);
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL,
			       VIRTGPU_BO_EVICT_DRAIN);
	mark = virtgpu_bo_cache_release_mark(cache);
	return wait_event_timeout(cache->wait,
				  virtgpu_bo_cache_released_until(cache, mark),
				  msecs_to_jiffies(RELEASE_TIMEOUT_MS));
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
	virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL,
			       VIRTGPU_BO_EVICT_DRAIN);
	flush_delayed_work(&cache->work);
	cancel_delayed_work_sync(&cache->work);
	virtgpu_bo_cache_release_doomed(cache);
}

static void virtgpu_bo_cache_empty_if_off(struct virtgpu_bo_cache *cache)
{
	if (!virtgpu_bo_cache_active(cache))
		virtgpu_bo_cache_evict(cache, VIRTGPU_BO_EVICT_ALL,
				       VIRTGPU_BO_EVICT_DISABLED);
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
	virtgpu_bo_cache_arm_expiry(cache);
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
	INIT_DELAYED_WORK(&cache->work, virtgpu_bo_cache_work);
	for (i = 0; i < VIRTGPU_BO_IDENT_HEADS; i++)
		INIT_LIST_HEAD(&cache->idents[i]);
	for (i = 0; i < VIRTGPU_BO_BUCKETS; i++)
		INIT_LIST_HEAD(&cache->pages[i]);
	for (i = 0; i < VIRTGPU_BO_TIERS; i++) {
		INIT_LIST_HEAD(&cache->lru[i]);
		INIT_LIST_HEAD(&cache->doomed[i]);
	}
	INIT_LIST_HEAD(&cache->dirty);
	cache->due = KTIME_MAX;
	cache->window_max = WINDOW_MAX;
	cache->ops = ops;
	cache->dev = dev;
	cache->wq = alloc_ordered_workqueue("virtgpu_bo_cache",
					    WQ_MEM_RECLAIM);
	cache->dead = !cache->wq;
	return cache->wq ? 0 : -ENOMEM;
}

/**
 * virtgpu_bo_cache_fini - take down a cache that has been killed
 * @cache: the cache; may not have been set up
 */
void virtgpu_bo_cache_fini(struct virtgpu_bo_cache *cache)
{
	if (!cache->wq)
		return;
	cancel_delayed_work_sync(&cache->work);
	destroy_workqueue(cache->wq);
	cache->wq = NULL;
}
