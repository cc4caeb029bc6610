/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The store of freed buffer objects: interface.
 *
 * The store knows buckets, owners, a clock and a limit, and nothing of virtio
 * commands; what must be done to the host or to pages it asks of its
 * &struct virtgpu_bo_cache_ops.  virtgpu_recycle.c is the driver's side.
 */
#ifndef VIRTGPU_BO_CACHE_H
#define VIRTGPU_BO_CACHE_H

#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/jhash.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/list_lru.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct kmem_cache;
struct mem_cgroup;
struct shrinker;
struct virtgpu_bo_cache;
struct virtgpu_bo_entry;

/**
 * enum virtgpu_bo_tier - what of a freed BO is held
 * @VIRTGPU_BO_TIER_NONE: nothing, the BO is in use or on its way out
 * @VIRTGPU_BO_TIER_RESOURCE: pages and live host resource, for the same owner
 * @VIRTGPU_BO_TIER_PAGES: pages only, for anyone
 * @VIRTGPU_BO_TIER_PURGEABLE: a BO that is still open, but that its client can do
 *                             without: it is nobody else's
 * @VIRTGPU_BO_TIERS: how many values there are
 *
 * The values stand in trace events and must not change.
 */
enum virtgpu_bo_tier {
	VIRTGPU_BO_TIER_NONE,
	VIRTGPU_BO_TIER_RESOURCE,
	VIRTGPU_BO_TIER_PAGES,
	VIRTGPU_BO_TIER_PURGEABLE,
	VIRTGPU_BO_TIERS
};

/**
 * enum virtgpu_bo_evict - why an entry left the cache without being handed out
 * @VIRTGPU_BO_EVICT_EXPIRED: timeout_ms went by since it was freed
 * @VIRTGPU_BO_EVICT_LIMIT: a newer one needed its room under max_bytes
 * @VIRTGPU_BO_EVICT_ALLOC: an allocation failed and wanted the memory
 * @VIRTGPU_BO_EVICT_ADMIN: somebody wrote to the purge file
 * @VIRTGPU_BO_EVICT_DISABLED: the cache was switched off
 * @VIRTGPU_BO_EVICT_DRAIN: the device is being unbound
 * @VIRTGPU_BO_EVICT_REFUSED: the host did not accept its creation or its release
 * @VIRTGPU_BO_EVICT_PRESSURE: the kernel wanted the memory
 * @VIRTGPU_BO_EVICT_HOST: the host ran out of memory
 * @VIRTGPU_BO_EVICT_CLOSED: a purgeable BO was closed
 * @VIRTGPU_BO_EVICTS: how many there are
 *
 * All but the first are purges.  The values stand in trace events and must not
 * change.
 */
enum virtgpu_bo_evict {
	VIRTGPU_BO_EVICT_EXPIRED,
	VIRTGPU_BO_EVICT_LIMIT,
	VIRTGPU_BO_EVICT_ALLOC,
	VIRTGPU_BO_EVICT_ADMIN,
	VIRTGPU_BO_EVICT_DISABLED,
	VIRTGPU_BO_EVICT_DRAIN,
	VIRTGPU_BO_EVICT_REFUSED,
	VIRTGPU_BO_EVICT_PRESSURE,
	VIRTGPU_BO_EVICT_HOST,
	VIRTGPU_BO_EVICT_CLOSED,
	VIRTGPU_BO_EVICTS
};

/**
 * enum virtgpu_bo_reject - why a freed BO did not enter the resource tier
 * @VIRTGPU_BO_REJECT_NONE: it may enter
 * @VIRTGPU_BO_REJECT_SHARED: it was exported, flinked or had a second handle
 * @VIRTGPU_BO_REJECT_CUSTOM: its bind is CUSTOM: the host copies it at attach and detach
 * @VIRTGPU_BO_REJECT_BLOB: it is a blob resource
 * @VIRTGPU_BO_REJECT_BUSY: a fence on it has not signalled
 * @VIRTGPU_BO_REJECT_OWNER: the file that made it is closed, or another one closed
 *                           its last handle, or the cache was off then
 * @VIRTGPU_BO_REJECT_REFUSED: the host refused to create it, or to let go of it
 * @VIRTGPU_BO_REJECT_DISABLED: the cache is off
 * @VIRTGPU_BO_REJECT_SIZE: larger than the limit or the bucket table
 * @VIRTGPU_BO_REJECT_FOREIGN: its pages are not ours: imported, or host memory
 * @VIRTGPU_BO_REJECT_GONE: the device is gone
 * @VIRTGPU_BO_REJECT_PRESSURE: memory was short a moment ago
 * @VIRTGPU_BO_REJECT_TIGHT: its memory cgroup has little room left
 * @VIRTGPU_BO_REJECT_NOMEM: there was no memory for the cache's own needs
 * @VIRTGPU_BO_REJECTS: how many there are
 *
 * Up to VIRTGPU_BO_REJECT_REFUSED, and with VIRTGPU_BO_REJECT_TIGHT, its pages
 * may still enter the pages tier; the others keep it out of both.  The values
 * stand in trace events and must not change.
 */
enum virtgpu_bo_reject {
	VIRTGPU_BO_REJECT_NONE,
	VIRTGPU_BO_REJECT_SHARED,
	VIRTGPU_BO_REJECT_CUSTOM,
	VIRTGPU_BO_REJECT_BLOB,
	VIRTGPU_BO_REJECT_BUSY,
	VIRTGPU_BO_REJECT_OWNER,
	VIRTGPU_BO_REJECT_REFUSED,
	VIRTGPU_BO_REJECT_DISABLED,
	VIRTGPU_BO_REJECT_SIZE,
	VIRTGPU_BO_REJECT_FOREIGN,
	VIRTGPU_BO_REJECT_GONE,
	VIRTGPU_BO_REJECT_PRESSURE,
	VIRTGPU_BO_REJECT_TIGHT,
	VIRTGPU_BO_REJECT_NOMEM,
	VIRTGPU_BO_REJECTS
};

/**
 * enum virtgpu_bo_miss - why a create found nothing
 * @VIRTGPU_BO_MISS_EMPTY: nothing of its size class was held
 * @VIRTGPU_BO_MISS_SIZE: what was held is too small, or not of exactly its size
 * @VIRTGPU_BO_MISS_CGROUP: ... is charged to another memory cgroup
 * @VIRTGPU_BO_MISS_OWNER: ... is in the resource tier, another file's
 * @VIRTGPU_BO_MISS_IDENT: ... is the file's own, but of another identity
 * @VIRTGPU_BO_MISS_BUSY: pages of its size class are on their way from the host
 * @VIRTGPU_BO_MISS_BACKOFF: memory was short a moment ago
 * @VIRTGPU_BO_MISSES: how many there are
 *
 * The later, the nearer it was to a hit: of several the last one counts.  The
 * values stand in trace events and must not change.
 */
enum virtgpu_bo_miss {
	VIRTGPU_BO_MISS_EMPTY,
	VIRTGPU_BO_MISS_SIZE,
	VIRTGPU_BO_MISS_CGROUP,
	VIRTGPU_BO_MISS_OWNER,
	VIRTGPU_BO_MISS_IDENT,
	VIRTGPU_BO_MISS_BUSY,
	VIRTGPU_BO_MISS_BACKOFF,
	VIRTGPU_BO_MISSES
};

/**
 * struct virtgpu_bo_ident - what two BOs must agree on to be interchangeable
 * @width: pixels; bytes of a buffer
 * @kind: which command creates it, a &enum virtgpu_bo_kind
 * @format: argument of RESOURCE_CREATE_2D and _3D, as are all that follow
 * @target: the kind of texture, or a buffer
 * @bind: what it may be used for
 * @height: pixels
 * @depth: pixels
 * @array_size: layers
 * @last_level: mipmap levels but one
 * @nr_samples: samples a pixel
 * @flags: as they are
 *
 * There is no padding, so that identities compare as memory; @width, in which
 * two buffers may differ, comes first.
 */
struct virtgpu_bo_ident {
	u32 width;
	u32 kind;
	u32 format;
	u32 target;
	u32 bind;
	u32 height;
	u32 depth;
	u32 array_size;
	u32 last_level;
	u32 nr_samples;
	u32 flags;
};

/**
 * enum virtgpu_bo_kind - kinds of identity
 * @VIRTGPU_BO_KIND_BLOB: RESOURCE_CREATE_BLOB; @target is its kind of memory
 * @VIRTGPU_BO_KIND_2D: RESOURCE_CREATE_2D
 * @VIRTGPU_BO_KIND_3D: RESOURCE_CREATE_3D of anything but a buffer
 * @VIRTGPU_BO_KIND_BUFFER: RESOURCE_CREATE_3D of a buffer: one a little larger
 *                          serves as well
 *
 * The values stand in trace events and must not change.
 */
enum virtgpu_bo_kind {
	VIRTGPU_BO_KIND_BLOB,
	VIRTGPU_BO_KIND_2D,
	VIRTGPU_BO_KIND_3D,
	VIRTGPU_BO_KIND_BUFFER,
};

/**
 * struct virtgpu_bo_owner - an open DRM file, as far as the cache needs it
 * @ref: one held by the file until it closes, one by each BO it made; so that a
 *       comparison by address is safe although BOs outlive their file
 * @id: number of the file, never used again; what trace events show
 * @ctx_id: the file's context on the host
 * @closed: the file is closed.  Set once, under &virtgpu_bo_cache.lock
 * @entries: its BOs in the resource tier, under &virtgpu_bo_cache.lock
 * @bytes: their backing; read without the lock
 */
struct virtgpu_bo_owner {
	struct kref ref;
	u64 id;
	u32 ctx_id;
	bool closed;
	struct list_head entries;
	u64 bytes;
};

/*
 * Size classes: every page count below eight has its own, from there on each
 * octave has eight.  So two sizes of one class differ by less than 1/8.
 * The last class begins at 1.875 GiB (of 4 KiB pages).
 */
#define VIRTGPU_BO_BUCKETS 136U

/**
 * struct virtgpu_bo_group - the BOs that are charged to one memory cgroup
 * @ref: one held by each BO, one while @remembered; looked up under RCU
 * @cache: whose BOs
 * @id: number of the cgroup, never used again: the inode of its folder; 0 where
 *      there are no cgroups
 * @memcg: the cgroup while @awake, holds a reference; also read under RCU
 * @awake: BOs of it are held or being released, or were a moment ago
 * @woken: when a BO was last closed or freed, by anyone; set without the lock, so
 *         a group may just miss it and fall asleep, and one BO is not kept
 * @link: in &virtgpu_bo_cache.groups, read under RCU
 * @shrink_link: in &virtgpu_bo_cache.shrink_lru, by which reclaim in the cgroup
 *               finds us
 * @rcu: for freeing it
 * @lru: what is held, by tier, first freed first
 * @late: in @lru, where the last one that was not the youngest has entered
 * @pages: the pages tier, by size class
 * @held_pages: pages held, by tier; read without the lock
 * @releasing: BOs that are being released
 * @coming: of those, the ones whose pages may enter the pages tier, by size class
 * @backoff_ms: how long the last back-off was to last, 0 if there was none
 * @backoff_until: when it ends
 * @remembered: how long it lasted matters still, though no BO may be left
 *
 * Pages are charged to the cgroup of who first touched them, which is who
 * created the BO, and stay so while they are cached.  So they are handed on only
 * inside the group, and reclaim in the cgroup takes from the group.
 *
 * A BO in use must not keep a cgroup in memory that was removed: the compositor
 * may have a window's BO for long after its client is gone.  So the group refers
 * to the cgroup only while it is awake: from when a task in the cgroup closes a BO
 * for as long as entries are kept, and then until nothing of the group is held or
 * being released, when the clock runs or, if it is not going to, when the last
 * release ends.
 *
 * Members without a note are protected by &virtgpu_bo_cache.lock.
 */
struct virtgpu_bo_group {
	struct kref ref;
	struct virtgpu_bo_cache *cache;
	u64 id;
	struct mem_cgroup *memcg;
	bool awake;
	ktime_t woken;
	struct list_head link;
	struct list_head shrink_link;
	struct rcu_head rcu;
	struct list_head lru[VIRTGPU_BO_TIERS];
	struct list_head *late[VIRTGPU_BO_TIERS];
	struct list_head pages[VIRTGPU_BO_BUCKETS];
	unsigned long held_pages[VIRTGPU_BO_TIERS];
	unsigned long releasing;
	unsigned int coming[VIRTGPU_BO_BUCKETS + 1];
	unsigned int backoff_ms;
	ktime_t backoff_until;
	bool remembered;
};

/**
 * struct virtgpu_bo_entry - a BO's part of the cache, embedded in the BO
 *
 * The driver fills in @ident, @size, @owner and @group while the BO is alive; the
 * store owns all of it from virtgpu_bo_cache_put() until the entry comes back by
 * virtgpu_bo_cache_take_resource(), virtgpu_bo_cache_take_pages(),
 * virtgpu_bo_cache_take_back() or &virtgpu_bo_cache_ops.release.
 */
struct virtgpu_bo_entry {
	/** @ident: what it was created as */
	struct virtgpu_bo_ident ident;
	/** @tier: where it is now, under &virtgpu_bo_cache.lock */
	u8 tier;
	/** @bucket: its size class */
	u8 bucket;
	/** @zeroed: its guest pages are known to be zero */
	bool zeroed;
	/** @zeroing: the worker zeroes them now; wait before touching the pages */
	bool zeroing;
	/** @releasing: counted in &virtgpu_bo_cache.release_bos */
	bool releasing;
	/** @windowed: the worker told the host, counted in &virtgpu_bo_cache.window */
	bool windowed;
	/** @keep_pages: the pages may enter the pages tier once the host let go */
	bool keep_pages;
	/** @counted: it is one of &virtgpu_bo_cache_stats.puts already */
	bool counted;
	/** @res_id: host resource id, for trace events */
	u32 res_id;
	/** @size: bytes of backing, a multiple of the page size */
	u64 size;
	/** @freed: when its last reference went, or it became purgeable */
	ktime_t freed;
	/** @owner: who made it, holds a reference; NULL if it can't be reused */
	struct virtgpu_bo_owner *owner;
	/** @group: whom its pages are charged to, holds a reference; may be NULL */
	struct virtgpu_bo_group *group;
	/** @bucket_link: among those a request for it looks at */
	struct list_head bucket_link;
	/** @owner_link: in &virtgpu_bo_owner.entries, in the resource tier */
	struct list_head owner_link;
	/** @lru_link: in &virtgpu_bo_group.lru, or among what is doomed */
	struct list_head lru_link;
	/** @dirty_link: among those whose pages are not zeroed yet */
	struct list_head dirty_link;
};

/**
 * struct virtgpu_bo_want - what a create asks for
 * @size: bytes of backing it would allocate
 * @owner: who asks; NULL if what is created can't be in the resource tier
 * @group: whom the pages would be charged to, or NULL
 * @ident: what would be created
 * @served: from which tier it was served, VIRTGPU_BO_TIER_NONE if from none
 * @missed: nothing was found.  It asks again when there is no memory for a new BO
 */
struct virtgpu_bo_want {
	u64 size;
	struct virtgpu_bo_owner *owner;
	struct virtgpu_bo_group *group;
	struct virtgpu_bo_ident ident;
	enum virtgpu_bo_tier served;
	bool missed;
};

/**
 * struct virtgpu_bo_cache_ops - what the store asks of the driver
 *
 * All of them are called in process context with no lock held but @claim; @drop
 * and @claim in memory reclaim.
 */
struct virtgpu_bo_cache_ops {
	/**
	 * @claim: an entry of the purgeable tier is to be released; called with
	 * &virtgpu_bo_cache.lock.  Returns false if that is not possible now:
	 * the host may use it, or its last reference is going.
	 */
	bool (*claim)(struct virtgpu_bo_entry *entry);
	/**
	 * @release: the entry is out of the cache.  If it came from the
	 * resource tier or was purgeable (@tier is the former then), the host
	 * must be told, virtgpu_bo_cache_answered() called when it has answered
	 * and virtgpu_bo_cache_release_end() when the pages are free.  From the
	 * pages tier, or if it has answered, they are freed and the latter is
	 * called before it returns.
	 */
	void (*release)(struct virtgpu_bo_cache *cache,
			struct virtgpu_bo_entry *entry,
			enum virtgpu_bo_tier tier);
	/**
	 * @flush: a batch of releases from the resource tier is complete, the
	 * host may look at it
	 */
	void (*flush)(struct virtgpu_bo_cache *cache);
	/**
	 * @drop: free the pages of an entry of the pages tier that is released
	 * next, if that can be done without waiting
	 */
	void (*drop)(struct virtgpu_bo_entry *entry);
	/** @zero: make the entry's guest pages zero */
	void (*zero)(struct virtgpu_bo_entry *entry);
};

/* Identities are spread over this many lists. */
#define VIRTGPU_BO_IDENT_BITS 10
#define VIRTGPU_BO_IDENT_HEADS BIT(VIRTGPU_BO_IDENT_BITS)

/**
 * struct virtgpu_bo_cache_stats - counters since the device was bound
 * @puts: BOs that entered the cache, each counted once
 * @hits: of those, handed out again, by tier
 * @misses: creates that found nothing
 * @demotions: went from the resource tier towards the pages tier
 * @evicted: left by the reason of the index
 * @rejected: did not enter by the reason of the index
 * @backoffs: times that memory pressure closed the cache to a cgroup for a while
 * @backoff_ms: how long the last of these was to last
 * @dropped: purgeable BOs whose content was lost
 */
struct virtgpu_bo_cache_stats {
	u64 puts;
	u64 hits[VIRTGPU_BO_TIERS];
	u64 misses;
	u64 demotions;
	u64 evicted[VIRTGPU_BO_EVICTS];
	u64 rejected[VIRTGPU_BO_REJECTS];
	u64 backoffs;
	u64 backoff_ms;
	u64 dropped;
};

/**
 * struct virtgpu_bo_cache - freed BOs of one device
 *
 * @lock protects all members without a note, and the store's part of each
 * entry.  It nests inside everything, nothing is allocated under it and no
 * other lock is taken but those of fences, to see whether the host is done with
 * what is purgeable: memory reclaim takes it.
 *
 * Each kind of work waits for as little as it can, so that memory comes back
 * when the kernel needs it: @clock, @zero and @reap wait for nobody, @retire
 * for the host when it does not keep up, and so has a queue of its own.
 */
struct virtgpu_bo_cache {
	/** @lock: see above; process context only */
	spinlock_t lock;
	/** @ops: set once */
	const struct virtgpu_bo_cache_ops *ops;
	/** @dev: number of the virtio device, for trace events; set once */
	u32 dev;
	/** @wq: runs all works but @retire; NULL if the cache was not set up */
	struct workqueue_struct *wq;
	/** @host_wq: runs @retire */
	struct workqueue_struct *host_wq;
	/** @clock: expires what is old; unarmed when nothing is held */
	struct delayed_work clock;
	/** @zero: zeroes what is dirty */
	struct delayed_work zero;
	/** @retire: tells the host about what is doomed */
	struct work_struct retire;
	/** @reap: frees the pages of what the host has let go of */
	struct work_struct reap;
	/** @due: when @clock runs next, KTIME_MAX if it does not */
	ktime_t due;
	/** @dead: the device is being unbound, nothing enters any more */
	bool dead;

	/** @enabled: knob */
	bool enabled;
	/** @timeout_ms: knob, milliseconds */
	u32 timeout_ms;
	/** @max_bytes: knob, limit over the tiers of freed BOs */
	u64 max_bytes;

	/** @groups: what is held, by memory cgroup; read under RCU */
	struct list_head groups;
	/** @group_slab: they are allocated from; set once */
	struct kmem_cache *group_slab;
	/** @shrinker: gives memory back under pressure; set once */
	struct shrinker *shrinker;
	/** @shrink_lru: which cgroups it is to be called for; own locking */
	struct list_lru shrink_lru;
	/** @oom: the last call before something is killed; set once */
	struct notifier_block oom;

	/** @idents: the resource tier, by hash of owner, identity and class */
	struct list_head idents[VIRTGPU_BO_IDENT_HEADS];
	/** @dirty: of what is held, what is to be zeroed */
	struct list_head dirty;
	/**
	 * @doomed: to be released: by @retire what the host still has, in the
	 * place of the resource tier, and by @reap what it has not
	 */
	struct list_head doomed[VIRTGPU_BO_TIERS];
	/** @window: of the releases @retire sent, how many have no answer */
	unsigned int window;
	/** @window_max: how many of those there may be */
	unsigned int window_max;

	/** @held_bytes: bytes held, by tier */
	u64 held_bytes[VIRTGPU_BO_TIERS];
	/** @held_bos: BOs held, by tier */
	u64 held_bos[VIRTGPU_BO_TIERS];
	/** @release_bytes: bytes of BOs that are neither in use, held nor free */
	u64 release_bytes;
	/** @release_bos: how many those are */
	u64 release_bos;
	/** @release_begun: releases ever begun, to wait for those until now */
	u64 release_begun;
	/** @release_done: releases ever done */
	u64 release_done;
	/** @stats: counters */
	struct virtgpu_bo_cache_stats stats;

	/** @wait: woken when a page was zeroed or a release was done */
	wait_queue_head_t wait;
};

/**
 * virtgpu_bo_ident_hash - what two BOs must agree on but for the width
 * @ident: identity of one
 *
 * Returns: it as one number, for trace events.
 */
static inline u32 virtgpu_bo_ident_hash(const struct virtgpu_bo_ident *ident)
{
	return jhash2(&ident->kind,
		      (sizeof(*ident) -
		       offsetof(struct virtgpu_bo_ident, kind)) / sizeof(u32),
		      0);
}

/**
 * virtgpu_bo_bucket - size class of a BO
 * @size: bytes of backing, a multiple of the page size and not 0
 *
 * Returns: the class; it may be beyond the table (>= VIRTGPU_BO_BUCKETS).
 */
static inline unsigned int virtgpu_bo_bucket(u64 size)
{
	u64 pages = size >> PAGE_SHIFT;
	unsigned int order;

	if (pages < 8)
		return pages;
	order = fls64(pages) - 1;
	return 8 + (order - 3) * 8 + ((pages >> (order - 3)) & 7);
}

/**
 * virtgpu_bo_class - size class of a BO, also of one beyond the table
 * @size: bytes of backing
 *
 * Returns: the class, VIRTGPU_BO_BUCKETS for all that are beyond.
 */
static inline unsigned int virtgpu_bo_class(u64 size)
{
	return min(virtgpu_bo_bucket(size), VIRTGPU_BO_BUCKETS);
}

/**
 * virtgpu_bo_cache_active - whether freed BOs may enter
 * @cache: the cache
 *
 * May be called without the lock; the answer can then be old, and
 * virtgpu_bo_cache_put() has the last word.
 *
 * Returns: true if they may.
 */
static inline bool virtgpu_bo_cache_active(const struct virtgpu_bo_cache *cache)
{
	return READ_ONCE(cache->enabled) && READ_ONCE(cache->timeout_ms) &&
	       !READ_ONCE(cache->dead);
}

/**
 * virtgpu_bo_cache_fits - whether a BO of a size may enter
 * @cache: the cache
 * @size: bytes of backing
 *
 * Callable like virtgpu_bo_cache_active().
 *
 * Returns: true if it may.
 */
static inline bool virtgpu_bo_cache_fits(struct virtgpu_bo_cache *cache,
					 u64 size)
{
	return size && size <= READ_ONCE(cache->max_bytes) &&
	       virtgpu_bo_bucket(size) < VIRTGPU_BO_BUCKETS;
}

int virtgpu_bo_cache_init(struct virtgpu_bo_cache *cache,
			  const struct virtgpu_bo_cache_ops *ops, u32 dev);
void virtgpu_bo_cache_fini(struct virtgpu_bo_cache *cache);

bool virtgpu_bo_cache_put(struct virtgpu_bo_cache *cache,
			  struct virtgpu_bo_entry *entry,
			  enum virtgpu_bo_tier tier, bool zeroed);
struct virtgpu_bo_entry *
virtgpu_bo_cache_take_resource(struct virtgpu_bo_cache *cache,
			       const struct virtgpu_bo_owner *owner,
			       const struct virtgpu_bo_group *group,
			       const struct virtgpu_bo_ident *ident, u64 size);
struct virtgpu_bo_entry *
virtgpu_bo_cache_take_pages(struct virtgpu_bo_cache *cache,
			    struct virtgpu_bo_group *group, u64 size,
			    bool exact);
bool virtgpu_bo_cache_take_back(struct virtgpu_bo_cache *cache,
				struct virtgpu_bo_entry *entry);
void virtgpu_bo_cache_leave(struct virtgpu_bo_cache *cache,
			    struct virtgpu_bo_entry *entry);
void virtgpu_bo_cache_missed(struct virtgpu_bo_cache *cache,
			     struct virtgpu_bo_want *want);
void virtgpu_bo_cache_rejected(struct virtgpu_bo_cache *cache,
			       const struct virtgpu_bo_entry *entry,
			       enum virtgpu_bo_reject reason);

void virtgpu_bo_cache_release_begin(struct virtgpu_bo_cache *cache,
				    struct virtgpu_bo_entry *entry);
bool virtgpu_bo_cache_answered(struct virtgpu_bo_cache *cache,
			       struct virtgpu_bo_entry *entry);
bool virtgpu_bo_cache_reap(struct virtgpu_bo_cache *cache,
			   struct virtgpu_bo_entry *entry);
u64 virtgpu_bo_cache_release_take(struct virtgpu_bo_cache *cache,
				  struct virtgpu_bo_entry *entry);
void virtgpu_bo_cache_release_end(struct virtgpu_bo_cache *cache, u64 bytes);
void virtgpu_bo_cache_lost(struct virtgpu_bo_cache *cache,
			   struct virtgpu_bo_entry *entry,
			   enum virtgpu_bo_evict reason);

void virtgpu_bo_cache_evict(struct virtgpu_bo_cache *cache, unsigned int tiers,
			    const struct mem_cgroup *memcg,
			    enum virtgpu_bo_evict reason);
unsigned long virtgpu_bo_cache_reclaim(struct virtgpu_bo_cache *cache,
				       const struct mem_cgroup *memcg,
				       unsigned long pages);
u64 virtgpu_bo_cache_oom(struct virtgpu_bo_cache *cache);
void virtgpu_bo_cache_evict_res(struct virtgpu_bo_cache *cache, u32 res_id);
void virtgpu_bo_cache_close_owner(struct virtgpu_bo_cache *cache,
				  struct virtgpu_bo_owner *owner);
void virtgpu_bo_cache_arm(struct virtgpu_bo_cache *cache, ktime_t due);
bool virtgpu_bo_cache_idle(struct virtgpu_bo_cache *cache);
int virtgpu_bo_cache_flush(struct virtgpu_bo_cache *cache);
bool virtgpu_bo_cache_kill(struct virtgpu_bo_cache *cache);
void virtgpu_bo_cache_abandon(struct virtgpu_bo_cache *cache);

void virtgpu_bo_cache_set_enabled(struct virtgpu_bo_cache *cache, bool on);
void virtgpu_bo_cache_set_timeout(struct virtgpu_bo_cache *cache, u32 ms);
void virtgpu_bo_cache_set_limit(struct virtgpu_bo_cache *cache, u64 bytes);

u64 virtgpu_bo_bucket_min(unsigned int bucket);

struct virtgpu_bo_owner *virtgpu_bo_owner_new(u32 ctx_id);
void virtgpu_bo_owner_put(struct virtgpu_bo_owner *owner);

/* virtgpu_bo_cache_reclaim.c */
struct virtgpu_bo_group *virtgpu_bo_group_get(struct virtgpu_bo_cache *cache);
void virtgpu_bo_group_put(struct virtgpu_bo_group *group);
void virtgpu_bo_group_wake(struct virtgpu_bo_group *group);
void virtgpu_bo_group_sleep(struct virtgpu_bo_group *group);
bool virtgpu_bo_group_within(const struct virtgpu_bo_group *group,
			     const struct mem_cgroup *memcg);
bool virtgpu_bo_memcg_full(struct mem_cgroup *memcg, u64 size);
bool virtgpu_bo_group_tight(const struct virtgpu_bo_group *group, u64 size);
bool virtgpu_bo_group_pressed(const struct virtgpu_bo_group *group);
void virtgpu_bo_group_back_off(struct virtgpu_bo_group *group);
void virtgpu_bo_groups_forget(struct virtgpu_bo_cache *cache, bool all);
int virtgpu_bo_groups_init(struct virtgpu_bo_cache *cache);
void virtgpu_bo_groups_fini(struct virtgpu_bo_cache *cache);
unsigned long virtgpu_bo_cache_freeable(struct virtgpu_bo_cache *cache,
					const struct mem_cgroup *memcg);
int virtgpu_bo_cache_reclaim_init(struct virtgpu_bo_cache *cache);
void virtgpu_bo_cache_reclaim_fini(struct virtgpu_bo_cache *cache);

/* Masks for virtgpu_bo_cache_evict(). */
#define VIRTGPU_BO_EVICT_RESOURCE BIT(VIRTGPU_BO_TIER_RESOURCE)
#define VIRTGPU_BO_EVICT_PAGES BIT(VIRTGPU_BO_TIER_PAGES)
#define VIRTGPU_BO_EVICT_PURGEABLE BIT(VIRTGPU_BO_TIER_PURGEABLE)
#define VIRTGPU_BO_EVICT_FREED \
	(VIRTGPU_BO_EVICT_RESOURCE | VIRTGPU_BO_EVICT_PAGES)
#define VIRTGPU_BO_EVICT_ALL \
	(VIRTGPU_BO_EVICT_FREED | VIRTGPU_BO_EVICT_PURGEABLE)

/* The longest timeout_ms that makes sense: a minute. */
#define VIRTGPU_BO_TIMEOUT_MAX_MS 60000

#endif
