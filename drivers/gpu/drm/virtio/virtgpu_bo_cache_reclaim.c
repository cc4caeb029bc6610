// SPDX-License-Identifier: GPL-2.0 OR MIT
/**
 * DOC: BO cache under memory pressure
 *
 * What the BO cache holds is the first memory that a guest should give up.
 *
 * - A *shrinker* takes what was freed first out of the cache.  It sends nothing,
 *   allocates nothing and waits for nobody.  Pages of the pages tier it frees,
 *   works then tell the host about the rest and do what is left to do.  It takes
 *   half of what is held, and all of it when pressure comes back soon.
 * - It does so by *memory cgroup*: pages are charged to who created the BO, and
 *   what is charged to a cgroup is kept as a group of its own, handed on only
 *   inside it and taken from by reclaim in it.
 * - A group that was taken from is closed for a while (*back-off*), longer when
 *   that happens again soon.  Else cache and pressure would feed each other, one
 *   filling what the other drains.
 * - A cgroup that is *tight*, close to its limit, gets no BO into the resource
 *   tier, but into the pages tier only.  Nobody waits for the host before a task in
 *   a cgroup is killed for lack of memory, so there must not be much to wait for.
 * - Before something is killed for the lack of memory in the whole guest,
 *   everything is dropped and the host waited for.
 */

#include <linux/cgroup.h>
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/oom.h>
#include <linux/page_counter.h>
#include <linux/rculist.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "virtgpu_bo_cache.h"
#include "virtgpu_bo_cache_trace.h"

/*
 * The first back-off: a few frames, too short to be felt when pressure was a
 * single event.  The longest is long against anything that inflates a balloon or
 * starts a program.
 */
#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 16000

/*
 * The next back-off is longer if less than this many times the length of the
 * last one has gone by since its end.
 */
#define BACKOFF_CALM 4

/*
 * A cgroup may have this part of the room that is left to it in the resource tier.
 * It is in danger only if it uses up all of the room but for that before the BOs
 * expire.
 */
#define TIGHT_SHARE 64

/* So little is not worth keeping when memory is short: 16 MiB. */
#define REST_PAGES ((16UL << 20) >> PAGE_SHIFT)

/*
 * Groups
 */

/* What user space calls a cgroup by: the inode number of its folder. */
static u64 virtgpu_bo_memcg_id(const struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG
	if (memcg)
		return cgroup_id(memcg->css.cgroup);
#endif
	return 0;
}

static struct virtgpu_bo_group *
virtgpu_bo_group_find(struct virtgpu_bo_cache *cache, u64 id)
{
	struct virtgpu_bo_group *group, *found = NULL;

	rcu_read_lock();
	list_for_each_entry_rcu(group, &cache->groups, link) {
		if (group->id == id && kref_get_unless_zero(&group->ref)) {
			found = group;
			break;
		}
	}
	rcu_read_unlock();
	return found;
}

static void virtgpu_bo_group_free_rcu(struct rcu_head *rcu)
{
	struct virtgpu_bo_group *group =
		container_of(rcu, struct virtgpu_bo_group, rcu);

	kmem_cache_free(group->cache->group_slab, group);
}

static void virtgpu_bo_group_release(struct kref *ref)
{
	struct virtgpu_bo_group *group =
		container_of(ref, struct virtgpu_bo_group, ref);
	struct virtgpu_bo_cache *cache = group->cache;

	spin_lock(&cache->lock);
	virtgpu_bo_group_sleep(group);
	list_del_rcu(&group->link);
	spin_unlock(&cache->lock);
	list_lru_del_obj(&cache->shrink_lru, &group->shrink_link);
	call_rcu(&group->rcu, virtgpu_bo_group_free_rcu);
}

static struct virtgpu_bo_group *
virtgpu_bo_group_new(struct virtgpu_bo_cache *cache, u64 id)
{
	struct virtgpu_bo_group *group;
	unsigned int i;

	/*
	 * Charged to the cgroup, which is how the list_lru knows whose it is.
	 * A cgroup that is full does without the cache; nothing is killed for it.
	 */
	group = kmem_cache_alloc_lru(cache->group_slab, &cache->shrink_lru,
				     GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL |
				     __GFP_NOWARN);
	if (!group)
		return NULL;
	*group = (struct virtgpu_bo_group) { .cache = cache, .id = id };
	kref_init(&group->ref);
	INIT_LIST_HEAD(&group->shrink_link);
	for (i = 0; i < VIRTGPU_BO_TIERS; i++) {
		INIT_LIST_HEAD(&group->lru[i]);
		group->late[i] = &group->lru[i];
	}
	for (i = 0; i < VIRTGPU_BO_BUCKETS; i++)
		INIT_LIST_HEAD(&group->pages[i]);
	return group;
}

/**
 * virtgpu_bo_group_get - the group that a BO created now belongs to
 * @cache: the cache
 *
 * Its pages will be charged to the same cgroup, unless the task is moved to
 * another one at this very moment; then reclaim there will not find them.
 *
 * Returns: the group with a reference for the caller, or NULL when there is no
 * memory for it: the BO then can't be cached.
 */
struct virtgpu_bo_group *virtgpu_bo_group_get(struct virtgpu_bo_cache *cache)
{
	struct virtgpu_bo_group *group, *other;
	struct mem_cgroup *memcg;
	u64 id;

	if (!cache->wq)
		return NULL;
	memcg = get_mem_cgroup_from_mm(NULL);
	id = virtgpu_bo_memcg_id(memcg);
	mem_cgroup_put(memcg);
	group = virtgpu_bo_group_find(cache, id);
	if (group)
		return group;

	virtgpu_bo_groups_forget(cache, false);
	group = virtgpu_bo_group_new(cache, id);
	if (!group)
		return NULL;
	spin_lock(&cache->lock);
	other = virtgpu_bo_group_find(cache, id);
	if (!other)
		list_add_tail_rcu(&group->link, &cache->groups);
	spin_unlock(&cache->lock);
	if (other) {
		kmem_cache_free(cache->group_slab, group);
		return other;
	}
	list_lru_add_obj(&cache->shrink_lru, &group->shrink_link);
	return group;
}

/**
 * virtgpu_bo_group_put - drop a reference
 * @group: may be NULL
 */
void virtgpu_bo_group_put(struct virtgpu_bo_group *group)
{
	if (group)
		kref_put(&group->ref, virtgpu_bo_group_release);
}

/**
 * virtgpu_bo_group_wake - a BO of a group may be put into the cache soon
 * @group: the group; it stays asleep if the task is not in its cgroup
 */
void virtgpu_bo_group_wake(struct virtgpu_bo_group *group)
{
	struct virtgpu_bo_cache *cache = group->cache;
	struct mem_cgroup *memcg;

	WRITE_ONCE(group->woken, ktime_get());
	if (READ_ONCE(group->awake))
		return;

	memcg = get_mem_cgroup_from_mm(NULL);
	spin_lock(&cache->lock);
	if (!group->awake && virtgpu_bo_memcg_id(memcg) == group->id) {
		WRITE_ONCE(group->memcg, memcg);
		WRITE_ONCE(group->awake, true);
		memcg = NULL;
		virtgpu_bo_cache_arm(cache, ktime_add_ms(ktime_get(),
							 cache->timeout_ms));
	}
	spin_unlock(&cache->lock);
	mem_cgroup_put(memcg);
}

static unsigned long virtgpu_bo_group_pages(const struct virtgpu_bo_group *group)
{
	unsigned long pages = 0;
	enum virtgpu_bo_tier tier;

	for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS; tier++)
		pages += READ_ONCE(group->held_pages[tier]);
	return pages;
}

/**
 * virtgpu_bo_group_sleep - let go of a group's cgroup
 * @group: the group; nothing happens if something of it is held or being released
 */
void virtgpu_bo_group_sleep(struct virtgpu_bo_group *group)
{
	lockdep_assert_held(&group->cache->lock);
	if (!group->awake || group->releasing ||
	    virtgpu_bo_group_pages(group))
		return;
	WRITE_ONCE(group->awake, false);
	/* It is freed under RCU, and that is how others look at it. */
	mem_cgroup_put(group->memcg);
	WRITE_ONCE(group->memcg, NULL);
}

/**
 * virtgpu_bo_group_within - whether a group is what reclaim asks for
 * @group: the group
 * @memcg: the cgroup in which memory is short, NULL for everywhere
 *
 * What was charged to a cgroup that is gone counts for the one above it.  Call it
 * under RCU or with the lock.
 *
 * Returns: true if so.
 */
bool virtgpu_bo_group_within(const struct virtgpu_bo_group *group,
			     const struct mem_cgroup *memcg)
{
	struct mem_cgroup *own = READ_ONCE(group->memcg);

	if (!memcg || mem_cgroup_disabled())
		return true;
	if (!own)
		return false;
	while (!mem_cgroup_online(own) && parent_mem_cgroup(own))
		own = parent_mem_cgroup(own);
	return own == memcg;
}

/* Pages that may still be charged to a cgroup. */
static unsigned long virtgpu_bo_memcg_room(struct mem_cgroup *memcg)
{
	unsigned long room = PAGE_COUNTER_MAX;
#ifdef CONFIG_MEMCG
	unsigned long limit;

	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		limit = min(READ_ONCE(memcg->memory.max),
			    READ_ONCE(memcg->memory.high));
		if (limit == PAGE_COUNTER_MAX)
			continue;
		limit -= min(limit, page_counter_read(&memcg->memory));
		room = min(room, limit);
	}
#endif
	return room;
}

/**
 * virtgpu_bo_memcg_full - whether a BO can't be charged to a cgroup
 * @memcg: the cgroup, or NULL
 * @size: bytes of the BO's backing
 *
 * Returns: true if so.
 */
bool virtgpu_bo_memcg_full(struct mem_cgroup *memcg, u64 size)
{
	return size >> PAGE_SHIFT > virtgpu_bo_memcg_room(memcg);
}

/**
 * virtgpu_bo_group_tight - whether a group's cgroup can't wait for the host
 * @group: the group
 * @size: bytes of the backing of a BO that would enter the resource tier
 *
 * May be called without the lock; it is an estimate.
 *
 * Returns: true if so.
 */
bool virtgpu_bo_group_tight(const struct virtgpu_bo_group *group, u64 size)
{
	unsigned long room;

	rcu_read_lock();
	room = virtgpu_bo_memcg_room(READ_ONCE(group->memcg));
	rcu_read_unlock();
	return READ_ONCE(group->held_pages[VIRTGPU_BO_TIER_RESOURCE]) +
	       (size >> PAGE_SHIFT) > room / TIGHT_SHARE;
}

/**
 * virtgpu_bo_group_pressed - whether a group is closed because of pressure
 * @group: the group
 *
 * May be called without the lock; the answer can then be old.
 *
 * Returns: true if so.
 */
bool virtgpu_bo_group_pressed(const struct virtgpu_bo_group *group)
{
	ktime_t until = READ_ONCE(group->backoff_until);

	return until && ktime_before(ktime_get(), until);
}

/* Whether the last back-off is so long ago that it does not matter. */
static bool virtgpu_bo_group_calm(const struct virtgpu_bo_group *group)
{
	return ktime_after(ktime_get(),
			   ktime_add_ms(READ_ONCE(group->backoff_until),
					BACKOFF_CALM *
					READ_ONCE(group->backoff_ms)));
}

/**
 * virtgpu_bo_group_back_off - close a group for a while
 * @group: the group; nothing happens if it is closed already
 */
void virtgpu_bo_group_back_off(struct virtgpu_bo_group *group)
{
	struct virtgpu_bo_cache *cache = group->cache;
	unsigned int ms = BACKOFF_MIN_MS;

	lockdep_assert_held(&cache->lock);
	if (virtgpu_bo_group_pressed(group))
		return;

	if (!virtgpu_bo_group_calm(group))
		ms = min_t(unsigned int, 2 * group->backoff_ms, BACKOFF_MAX_MS);
	if (!group->remembered) {
		group->remembered = true;
		kref_get(&group->ref);
	}
	WRITE_ONCE(group->backoff_ms, ms);
	WRITE_ONCE(group->backoff_until, ktime_add_ms(ktime_get(), ms));
	cache->stats.backoffs++;
	cache->stats.backoff_ms = ms;
	trace_bo_cache_backoff(cache, group->id, ms);
}

/**
 * virtgpu_bo_groups_forget - let go of groups that are not needed any more
 * @cache: the cache
 * @all: also those whose last back-off was not long ago
 *
 * There is no timer for it: an empty group is small.
 */
void virtgpu_bo_groups_forget(struct virtgpu_bo_cache *cache, bool all)
{
	struct virtgpu_bo_group *group, *found;

	do {
		found = NULL;
		spin_lock(&cache->lock);
		list_for_each_entry(group, &cache->groups, link) {
			if (!group->remembered ||
			    !(all || virtgpu_bo_group_calm(group)))
				continue;
			group->remembered = false;
			found = group;
			break;
		}
		spin_unlock(&cache->lock);
		virtgpu_bo_group_put(found);
	} while (found);
}

/**
 * virtgpu_bo_groups_init - get ready for groups
 * @cache: the cache, with its shrinker
 *
 * Returns: 0 or -ENOMEM; then call virtgpu_bo_groups_fini() as well.
 */
int virtgpu_bo_groups_init(struct virtgpu_bo_cache *cache)
{
	static atomic_t last_nr = ATOMIC_INIT(0);
	char name[32];

	/* One may outlive its device for a while, and names must differ. */
	snprintf(name, sizeof(name), "virtgpu_bo_group-%d",
		 atomic_inc_return(&last_nr));
	cache->group_slab = kmem_cache_create(name,
					      sizeof(struct virtgpu_bo_group),
					      0, SLAB_ACCOUNT, NULL);
	if (!cache->group_slab)
		return -ENOMEM;
	return list_lru_init_memcg(&cache->shrink_lru, cache->shrinker);
}

/**
 * virtgpu_bo_groups_fini - undo virtgpu_bo_groups_init()
 * @cache: the cache, without any BO; it may not have been set up in full
 */
void virtgpu_bo_groups_fini(struct virtgpu_bo_cache *cache)
{
	virtgpu_bo_groups_forget(cache, true);
	/* Groups that are being freed need the rest. */
	rcu_barrier();
	list_lru_destroy(&cache->shrink_lru);
	kmem_cache_destroy(cache->group_slab);
	cache->group_slab = NULL;
}

/*
 * Shrinker
 */

/**
 * virtgpu_bo_cache_freeable - how much reclaim can have
 * @cache: the cache
 * @memcg: of what is charged to this cgroup, or of all if NULL
 *
 * Takes no lock.  What is on its way to the host is not in it.
 *
 * Returns: pages.
 */
unsigned long virtgpu_bo_cache_freeable(struct virtgpu_bo_cache *cache,
					const struct mem_cgroup *memcg)
{
	struct virtgpu_bo_group *group;
	unsigned long pages = 0;

	rcu_read_lock();
	list_for_each_entry_rcu(group, &cache->groups, link)
		if (virtgpu_bo_group_within(group, memcg))
			pages += virtgpu_bo_group_pages(group);
	rcu_read_unlock();
	return pages;
}

/*
 * Never SHRINK_EMPTY: the cgroup would not be asked again until its first group
 * is added to the list_lru, and a group stays there while it has BOs at all.
 */
static unsigned long
virtgpu_bo_cache_shrink_count(struct shrinker *shrinker,
			      struct shrink_control *sc)
{
	return virtgpu_bo_cache_freeable(shrinker->private_data, sc->memcg);
}

/*
 * At least half of what there is: the kernel asks for little at a time, in
 * proportion to what others have, but this memory should go first.  All of it if
 * memory was short a short while ago too.
 */
static unsigned long virtgpu_bo_cache_due(struct virtgpu_bo_cache *cache,
					  const struct shrink_control *sc)
{
	unsigned long held, due = 0;
	struct virtgpu_bo_group *group;

	rcu_read_lock();
	list_for_each_entry_rcu(group, &cache->groups, link) {
		if (!virtgpu_bo_group_within(group, sc->memcg))
			continue;
		held = virtgpu_bo_group_pages(group);
		due += virtgpu_bo_group_calm(group) ? held / 2 : held;
	}
	rcu_read_unlock();
	return max3(due, sc->nr_to_scan, REST_PAGES);
}

static unsigned long
virtgpu_bo_cache_shrink_scan(struct shrinker *shrinker,
			     struct shrink_control *sc)
{
	struct virtgpu_bo_cache *cache = shrinker->private_data;
	unsigned long done;

	done = virtgpu_bo_cache_reclaim(cache, sc->memcg,
					virtgpu_bo_cache_due(cache, sc));
	sc->nr_scanned = done;
	return done ?: SHRINK_STOP;
}

static int virtgpu_bo_cache_oom_notify(struct notifier_block *nb,
				       unsigned long unused, void *data)
{
	struct virtgpu_bo_cache *cache =
		container_of(nb, struct virtgpu_bo_cache, oom);
	unsigned long *freed = data;

	*freed += virtgpu_bo_cache_oom(cache) >> PAGE_SHIFT;
	return NOTIFY_OK;
}

/**
 * virtgpu_bo_cache_reclaim_init - let reclaim have what the cache holds
 * @cache: the cache
 *
 * Returns: 0 or -ENOMEM; then call virtgpu_bo_cache_reclaim_fini() as well.
 */
int virtgpu_bo_cache_reclaim_init(struct virtgpu_bo_cache *cache)
{
	cache->shrinker = shrinker_alloc(SHRINKER_MEMCG_AWARE |
					 SHRINKER_NONSLAB,
					 "virtgpu-bo-cache:%u", cache->dev);
	if (!cache->shrinker)
		return -ENOMEM;
	cache->shrinker->count_objects = virtgpu_bo_cache_shrink_count;
	cache->shrinker->scan_objects = virtgpu_bo_cache_shrink_scan;
	/* Cheap to make again, and not worth saving up small demands. */
	cache->shrinker->seeks = DEFAULT_SEEKS / 2;
	cache->shrinker->batch = 1;
	cache->shrinker->private_data = cache;
	shrinker_register(cache->shrinker);

	cache->oom.notifier_call = virtgpu_bo_cache_oom_notify;
	register_oom_notifier(&cache->oom);
	return 0;
}

/**
 * virtgpu_bo_cache_reclaim_fini - undo virtgpu_bo_cache_reclaim_init()
 * @cache: the cache, without any BO; it may not have been set up in full
 */
void virtgpu_bo_cache_reclaim_fini(struct virtgpu_bo_cache *cache)
{
	if (cache->oom.notifier_call)
		unregister_oom_notifier(&cache->oom);
	cache->oom.notifier_call = NULL;
	shrinker_free(cache->shrinker);
	cache->shrinker = NULL;
}
