// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The BO cache in sysfs: bo_cache/ below the virtio device, one value a file.
 * See Documentation/ABI/testing/sysfs-driver-virtio-gpu-bo-cache.
 */

#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include <drm/drm_print.h>

#include "virtgpu_drv.h"
#include "virtgpu_recycle.h"

/*
 * The folder is a child of the virtio device and is removed before the driver
 * lets go of that, so all of this chain is there while a file is open.
 */
static struct virtgpu_bo_cache *kobj_to_cache(struct kobject *kobj)
{
	struct virtio_device *vdev = dev_to_virtio(kobj_to_dev(kobj->parent));
	struct drm_device *dev = vdev->priv;
	struct virtio_gpu_device *vgdev = dev->dev_private;

	return &vgdev->recycle.cache;
}

/*
 * Knobs
 */

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(kobj_to_cache(kobj)->enabled));
}

static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t len)
{
	bool on;
	int ret;

	ret = kstrtobool(buf, &on);
	if (ret)
		return ret;
	virtgpu_bo_cache_set_enabled(kobj_to_cache(kobj), on);
	return len;
}

static ssize_t timeout_ms_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(kobj_to_cache(kobj)->timeout_ms));
}

static ssize_t timeout_ms_store(struct kobject *kobj,
				struct kobj_attribute *attr, const char *buf,
				size_t len)
{
	u32 ms;

	if (kstrtou32(buf, 0, &ms) || ms > VIRTGPU_BO_TIMEOUT_MAX_MS)
		return -EINVAL;
	virtgpu_bo_cache_set_timeout(kobj_to_cache(kobj), ms);
	return len;
}

static ssize_t max_bytes_show(struct kobject *kobj, struct kobj_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  READ_ONCE(kobj_to_cache(kobj)->max_bytes));
}

static ssize_t max_bytes_store(struct kobject *kobj,
			       struct kobj_attribute *attr, const char *buf,
			       size_t len)
{
	u64 bytes;

	if (kstrtou64(buf, 0, &bytes) ||
	    bytes > (u64)totalram_pages() << PAGE_SHIFT)
		return -EINVAL;
	virtgpu_bo_cache_set_limit(kobj_to_cache(kobj), bytes);
	return len;
}

static ssize_t purge_store(struct kobject *kobj, struct kobj_attribute *attr,
			   const char *buf, size_t len)
{
	static const struct {
		const char *word;
		unsigned int tiers;
	} words[] = {
		{ "1", VIRTGPU_BO_EVICT_ALL },
		{ "all", VIRTGPU_BO_EVICT_ALL },
		{ "resource", VIRTGPU_BO_EVICT_RESOURCE },
		{ "pages", VIRTGPU_BO_EVICT_PAGES },
		{ "purgeable", VIRTGPU_BO_EVICT_PURGEABLE },
	};
	struct virtgpu_bo_cache *cache = kobj_to_cache(kobj);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (!sysfs_streq(buf, words[i].word))
			continue;
		virtgpu_bo_cache_evict(cache, words[i].tiers, NULL,
				       VIRTGPU_BO_EVICT_ADMIN);
		return virtgpu_bo_cache_flush(cache) ?: len;
	}
	return -EINVAL;
}

static struct kobj_attribute enabled_attr = __ATTR_RW(enabled);
static struct kobj_attribute timeout_ms_attr = __ATTR_RW(timeout_ms);
static struct kobj_attribute max_bytes_attr = __ATTR_RW(max_bytes);
static struct kobj_attribute purge_attr = __ATTR_WO(purge);

static struct attribute *knob_attrs[] = {
	&enabled_attr.attr,
	&timeout_ms_attr.attr,
	&max_bytes_attr.attr,
	&purge_attr.attr,
	NULL
};

static const struct attribute_group knob_group = {
	.attrs = knob_attrs,
};

/*
 * Statistics: each file is a sum of counters that stand one after the other.
 */

/**
 * struct stat_attribute - a file below stats/
 * @base: the file
 * @offset: of the first counter, a u64, in &struct virtgpu_bo_cache
 * @count: how many are summed up
 */
struct stat_attribute {
	struct kobj_attribute base;
	size_t offset;
	size_t count;
};

static ssize_t stat_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	struct stat_attribute *stat =
		container_of(attr, struct stat_attribute, base);
	struct virtgpu_bo_cache *cache = kobj_to_cache(kobj);
	const u64 *counter = (void *)cache + stat->offset;
	u64 sum = 0;
	size_t i;

	spin_lock(&cache->lock);
	for (i = 0; i < stat->count; i++)
		sum += counter[i];
	spin_unlock(&cache->lock);
	return sysfs_emit(buf, "%llu\n", sum);
}

#define STAT_SUM(_name, _member, _count) { \
	.base = __ATTR(_name, 0444, stat_show, NULL), \
	.offset = offsetof(struct virtgpu_bo_cache, _member), \
	.count = _count, \
}

#define STAT(_name, _member) STAT_SUM(_name, _member, 1)
#define STAT_TIER(_name, _member, _TIER) \
	STAT(_name, _member[VIRTGPU_BO_TIER_##_TIER])
#define STAT_EVICTED(_name, _REASON) \
	STAT(_name, stats.evicted[VIRTGPU_BO_EVICT_##_REASON])
#define STAT_REJECTED(_name, _REASON) \
	STAT(_name, stats.rejected[VIRTGPU_BO_REJECT_##_REASON])

static struct stat_attribute stat_files[] = {
	STAT(puts, stats.puts),
	STAT_TIER(hits_resource, stats.hits, RESOURCE),
	STAT_TIER(hits_pages, stats.hits, PAGES),
	STAT_TIER(hits_purgeable, stats.hits, PURGEABLE),
	STAT(misses, stats.misses),
	STAT(demotions, stats.demotions),
	STAT_EVICTED(expired, EXPIRED),
	/* All reasons but the first. */
	STAT_SUM(purged, stats.evicted[VIRTGPU_BO_EVICT_EXPIRED + 1],
		 VIRTGPU_BO_EVICTS - 1),
	STAT_EVICTED(purged_limit, LIMIT),
	STAT_EVICTED(purged_alloc, ALLOC),
	STAT_EVICTED(purged_admin, ADMIN),
	STAT_EVICTED(purged_disabled, DISABLED),
	STAT_EVICTED(purged_drain, DRAIN),
	STAT_EVICTED(purged_refused, REFUSED),
	STAT_EVICTED(purged_pressure, PRESSURE),
	STAT_EVICTED(purged_host, HOST),
	STAT_EVICTED(purged_closed, CLOSED),
	STAT(dropped, stats.dropped),
	STAT_SUM(rejected, stats.rejected[0], VIRTGPU_BO_REJECTS),
	STAT_REJECTED(rejected_shared, SHARED),
	STAT_REJECTED(rejected_custom, CUSTOM),
	STAT_REJECTED(rejected_blob, BLOB),
	STAT_REJECTED(rejected_busy, BUSY),
	STAT_REJECTED(rejected_owner, OWNER),
	STAT_REJECTED(rejected_refused, REFUSED),
	STAT_REJECTED(rejected_disabled, DISABLED),
	STAT_REJECTED(rejected_size, SIZE),
	STAT_REJECTED(rejected_foreign, FOREIGN),
	STAT_REJECTED(rejected_gone, GONE),
	STAT_REJECTED(rejected_pressure, PRESSURE),
	STAT_REJECTED(rejected_tight, TIGHT),
	STAT_REJECTED(rejected_nomem, NOMEM),
	STAT_TIER(held_resource_bytes, held_bytes, RESOURCE),
	STAT_TIER(held_resource_bos, held_bos, RESOURCE),
	STAT_TIER(held_pages_bytes, held_bytes, PAGES),
	STAT_TIER(held_pages_bos, held_bos, PAGES),
	STAT_TIER(held_purgeable_bytes, held_bytes, PURGEABLE),
	STAT_TIER(held_purgeable_bos, held_bos, PURGEABLE),
	STAT(release_bytes, release_bytes),
	STAT(release_bos, release_bos),
	STAT(backoffs, stats.backoffs),
	STAT(backoff_ms, stats.backoff_ms),
};

/* Filled in by stat_attrs_fill(), always with the same. */
static struct attribute *stat_attrs[ARRAY_SIZE(stat_files) + 1];

static void stat_attrs_fill(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(stat_files); i++)
		stat_attrs[i] = &stat_files[i].base.attr;
}

static const struct attribute_group stat_group = {
	.name = "stats",
	.attrs = stat_attrs,
};

static const struct attribute_group *bo_cache_groups[] = {
	&knob_group,
	&stat_group,
	NULL
};

/**
 * virtio_gpu_bo_cache_sysfs_add - make the files of a device
 * @vgdev: the device, registered with DRM
 *
 * The driver core creates them before it tells user space that the driver is
 * bound, because this runs in probe.  A folder of its own and not one of the
 * driver's groups, because a group has no subfolder.  It can't fail: without
 * memory the device does without.
 */
void virtio_gpu_bo_cache_sysfs_add(struct virtio_gpu_device *vgdev)
{
	struct kobject *kobj;

	stat_attrs_fill();
	kobj = kobject_create_and_add("bo_cache", &vgdev->vdev->dev.kobj);
	if (!kobj || sysfs_create_groups(kobj, bo_cache_groups)) {
		drm_warn(vgdev->ddev, "no sysfs files for the BO cache\n");
		kobject_put(kobj);
		return;
	}
	vgdev->recycle.kobj = kobj;
}

/**
 * virtio_gpu_bo_cache_sysfs_del - remove the files of a device
 * @vgdev: the device
 *
 * Nobody is in one of them when it returns.
 */
void virtio_gpu_bo_cache_sysfs_del(struct virtio_gpu_device *vgdev)
{
	struct kobject *kobj = vgdev->recycle.kobj;

	if (!kobj)
		return;
	sysfs_remove_groups(kobj, bo_cache_groups);
	kobject_put(kobj);
	vgdev->recycle.kobj = NULL;
}
