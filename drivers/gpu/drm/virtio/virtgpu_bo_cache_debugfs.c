// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The BO cache in debugfs, for people: what is held by size class and tier, and
 * entry by entry.
 */

#include <linux/debugfs.h>
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
};

/**
 * struct bucket_row - a line of the table
 * @bos: BOs of the class, by tier
 * @bytes: their backing, by tier
 */
struct bucket_row {
	u32 bos[VIRTGPU_BO_TIERS];
	u64 bytes[VIRTGPU_BO_TIERS];
};

static void bucket_rows_fill(struct virtgpu_bo_cache *cache,
			     struct bucket_row *rows)
{
	struct virtgpu_bo_entry *entry;
	unsigned int tier;

	spin_lock(&cache->lock);
	for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS; tier++) {
		list_for_each_entry(entry, &cache->lru[tier], lru_link) {
			rows[entry->bucket].bos[tier]++;
			rows[entry->bucket].bytes[tier] += entry->size;
		}
	}
	spin_unlock(&cache->lock);
}

static int bo_cache_show(struct seq_file *m, void *unused)
{
	struct virtgpu_bo_cache *cache = m->private;
	struct bucket_row *rows, *row;
	unsigned int i;

	rows = kcalloc(VIRTGPU_BO_BUCKETS, sizeof(*rows), GFP_KERNEL);
	if (!rows)
		return -ENOMEM;
	bucket_rows_fill(cache, rows);

	seq_printf(m, "state %s, timeout %u ms, limit %llu bytes, with the host for release %llu BOs of %llu bytes\n",
		   virtgpu_bo_cache_active(cache) ? "on" : "off",
		   READ_ONCE(cache->timeout_ms), READ_ONCE(cache->max_bytes),
		   READ_ONCE(cache->release_bos),
		   READ_ONCE(cache->release_bytes));
	seq_puts(m, "bucket   from bytes  resource BOs       bytes  pages BOs       bytes\n");
	for (i = 0; i < VIRTGPU_BO_BUCKETS; i++) {
		row = &rows[i];
		if (!row->bos[VIRTGPU_BO_TIER_RESOURCE] &&
		    !row->bos[VIRTGPU_BO_TIER_PAGES])
			continue;
		seq_printf(m, "%6u %12llu %13u %11llu %10u %11llu\n", i,
			   virtgpu_bo_bucket_min(i),
			   row->bos[VIRTGPU_BO_TIER_RESOURCE],
			   row->bytes[VIRTGPU_BO_TIER_RESOURCE],
			   row->bos[VIRTGPU_BO_TIER_PAGES],
			   row->bytes[VIRTGPU_BO_TIER_PAGES]);
	}
	kfree(rows);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(bo_cache);

static int bo_cache_entries_show(struct seq_file *m, void *unused)
{
	struct virtgpu_bo_cache *cache = m->private;
	struct virtgpu_bo_entry *entry;
	ktime_t now = ktime_get();
	unsigned int tier;

	seq_puts(m, "tier      age ms        bytes  res_id   owner  zeroed  format       bind  width x height\n");
	spin_lock(&cache->lock);
	for (tier = VIRTGPU_BO_TIER_RESOURCE; tier < VIRTGPU_BO_TIERS; tier++)
		list_for_each_entry(entry, &cache->lru[tier], lru_link)
			seq_printf(m, "%-8s %7lld %12llu %7u %7llu %7s %7u %#10x  %u x %u\n",
				   tier_names[tier],
				   ktime_ms_delta(now, entry->freed),
				   entry->size, entry->res_id,
				   entry->owner ? entry->owner->id : 0,
				   str_yes_no(READ_ONCE(entry->zeroed)),
				   entry->ident.format, entry->ident.bind,
				   entry->ident.width, entry->ident.height);
	spin_unlock(&cache->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(bo_cache_entries);

/**
 * virtio_gpu_bo_cache_debugfs_add - make the files of a DRM minor
 * @minor: the minor; they go with its folder
 */
void virtio_gpu_bo_cache_debugfs_add(struct drm_minor *minor)
{
	struct virtio_gpu_device *vgdev = minor->dev->dev_private;
	struct virtgpu_bo_cache *cache = &vgdev->recycle.cache;

	debugfs_create_file("bo_cache", 0444, minor->debugfs_root, cache,
			    &bo_cache_fops);
	debugfs_create_file("bo_cache_entries", 0444, minor->debugfs_root,
			    cache, &bo_cache_entries_fops);
}
