// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The BO cache in debugfs, for people: what is held by size class and tier, and
 * entry by entry; and a way to reclaim it as the kernel would.
 */

#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>

#include <drm/drm_device.h>
#include <drm/drm_file.h>

#include "virtgpu_drv.h"
#include "virtgpu_recycle.h"

static const char * const tier_names[] = {
	[VIRTGPU_BO_TIER_NONE] = "none",
	[VIRTGPU_BO_TIER_RESOURCE] = "resource",
	[VIRTGPU_BO_TIER_PAGES] = "pages",
	[VIRTGPU_BO_TIER_PURGEABLE] = "purgeable",
};

static void show_held(struct virtgpu_bo_cache *cache,
		      void (*show)(const struct virtgpu_bo_entry *entry,
				   void *arg),
		      void *arg)
{
	struct virtgpu_bo_entry *entry;
	struct virtgpu_bo_group *group;
	enum virtgpu_bo_tier tier;

	spin_lock(&cache->lock);
	list_for_each_entry(group, &cache->groups, link)
		for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS;
		     tier++)
			list_for_each_entry(entry, &group->lru[tier], lru_link)
				show(entry, arg);
	spin_unlock(&cache->lock);
}

/**
 * struct bucket_row - a line of the table
 * @bos: BOs of the class, by tier
 * @bytes: their backing, by tier
 */
struct bucket_row {
	u32 bos[VIRTGPU_BO_TIERS];
	u64 bytes[VIRTGPU_BO_TIERS];
};

static void bucket_add(const struct virtgpu_bo_entry *entry, void *arg)
{
	struct bucket_row *rows = arg;

	/* A purgeable BO may be larger than anything that is cached. */
	if (entry->bucket >= VIRTGPU_BO_BUCKETS)
		return;
	rows[entry->bucket].bos[entry->tier]++;
	rows[entry->bucket].bytes[entry->tier] += entry->size;
}

static int buckets_show(struct seq_file *m, void *unused)
{
	struct virtgpu_bo_cache *cache = m->private;
	struct bucket_row *rows, *row;
	unsigned int i;

	rows = kcalloc(VIRTGPU_BO_BUCKETS, sizeof(*rows), GFP_KERNEL);
	if (!rows)
		return -ENOMEM;
	show_held(cache, bucket_add, rows);

	seq_printf(m, "state %s, timeout %u ms, limit %llu bytes, with the host for release %llu BOs of %llu bytes\n",
		   virtgpu_bo_cache_active(cache) ? "on" : "off",
		   READ_ONCE(cache->timeout_ms), READ_ONCE(cache->max_bytes),
		   READ_ONCE(cache->release_bos),
		   READ_ONCE(cache->release_bytes));
	seq_puts(m, "bucket   from bytes  resource BOs       bytes  pages BOs       bytes  purgeable BOs       bytes\n");
	for (i = 0; i < VIRTGPU_BO_BUCKETS; i++) {
		row = &rows[i];
		if (!row->bos[VIRTGPU_BO_TIER_RESOURCE] &&
		    !row->bos[VIRTGPU_BO_TIER_PAGES] &&
		    !row->bos[VIRTGPU_BO_TIER_PURGEABLE])
			continue;
		seq_printf(m, "%6u %12llu %13u %11llu %10u %11llu %14u %11llu\n", i,
			   virtgpu_bo_bucket_min(i),
			   row->bos[VIRTGPU_BO_TIER_RESOURCE],
			   row->bytes[VIRTGPU_BO_TIER_RESOURCE],
			   row->bos[VIRTGPU_BO_TIER_PAGES],
			   row->bytes[VIRTGPU_BO_TIER_PAGES],
			   row->bos[VIRTGPU_BO_TIER_PURGEABLE],
			   row->bytes[VIRTGPU_BO_TIER_PURGEABLE]);
	}
	kfree(rows);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(buckets);

static void entry_show(const struct virtgpu_bo_entry *entry, void *arg)
{
	seq_printf(arg, "%-9s %7lld %12llu %7u %7llu %7llu %7s %7u %#10x  %u x %u\n",
		   tier_names[entry->tier],
		   ktime_ms_delta(ktime_get(), entry->freed),
		   entry->size, entry->res_id,
		   entry->owner ? entry->owner->id : 0, entry->group->id,
		   str_yes_no(READ_ONCE(entry->zeroed)),
		   entry->ident.format, entry->ident.bind,
		   entry->ident.width, entry->ident.height);
}

static int entries_show(struct seq_file *m, void *unused)
{
	seq_puts(m, "tier       age ms        bytes  res_id   owner  cgroup  zeroed  format       bind  width x height\n");
	show_held(m->private, entry_show, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(entries);

static int shrink_get(void *data, u64 *pages)
{
	struct virtgpu_bo_cache *cache = data;

	fs_reclaim_acquire(GFP_KERNEL);
	*pages = virtgpu_bo_cache_freeable(cache, NULL);
	fs_reclaim_release(GFP_KERNEL);
	return 0;
}

/* What the shrinker does, where lockdep takes it for reclaim. */
static int shrink_set(void *data, u64 pages)
{
	struct virtgpu_bo_cache *cache = data;

	fs_reclaim_acquire(GFP_KERNEL);
	virtgpu_bo_cache_reclaim(cache, NULL,
				 min_t(u64, pages,
				       virtgpu_bo_cache_freeable(cache, NULL)));
	fs_reclaim_release(GFP_KERNEL);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(shrink_fops, shrink_get, shrink_set, "%llu\n");

/**
 * virtio_gpu_bo_cache_debugfs_add - make the files of a DRM minor
 * @minor: the minor; they go with its folder
 */
void virtio_gpu_bo_cache_debugfs_add(struct drm_minor *minor)
{
	struct virtio_gpu_device *vgdev = minor->dev->dev_private;
	struct virtgpu_bo_cache *cache = &vgdev->recycle.cache;
	struct dentry *dir;

	dir = debugfs_create_dir("bo_cache", minor->debugfs_root);
	debugfs_create_file("buckets", 0444, dir, cache, &buckets_fops);
	debugfs_create_file("entries", 0444, dir, cache, &entries_fops);
	debugfs_create_file("shrink", 0644, dir, cache, &shrink_fops);
}
