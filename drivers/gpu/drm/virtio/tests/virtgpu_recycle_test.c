// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KUnit tests of what keeps a freed BO out of a tier.  Each reason by itself, on
 * a BO that could be kept if it were not for that.  And of what the host is told
 * when the BO's handle is closed, and who can do without it.
 */

#include <kunit/test.h>

#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/idr.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "../virtgpu_drv.h"

#define RES_ID 7

/**
 * struct judged - a BO, and all that a verdict looks at
 * @vgdev: the device, with a cache in use; virgl
 * @bo: the BO
 * @owner: who made it
 * @group: whom it is charged to
 * @sgt: stands for its scatter list
 * @dev: leads from the BO to the device
 */
struct judged {
	struct drm_device dev;
	struct virtio_gpu_device *vgdev;
	struct virtio_gpu_object *bo;
	struct virtgpu_bo_owner *owner;
	struct virtgpu_bo_group *group;
	struct sg_table sgt;
};

/* No BO ever enters, so nothing is asked of the driver. */
static const struct virtgpu_bo_cache_ops no_ops;

static void judged_make_cache(struct kunit *test, struct judged *judged)
{
	struct virtio_gpu_recycle *recycle = &judged->vgdev->recycle;

	xa_init(&recycle->refused);
	KUNIT_ASSERT_EQ(test, 0,
			virtgpu_bo_cache_init(&recycle->cache, &no_ops, 0));
	virtgpu_bo_cache_set_limit(&recycle->cache, 64 * PAGE_SIZE);
	virtgpu_bo_cache_set_timeout(&recycle->cache, 1000);
	virtgpu_bo_cache_set_enabled(&recycle->cache, true);
	judged->group = virtgpu_bo_group_get(&recycle->cache);
	KUNIT_ASSERT_NOT_NULL(test, judged->group);
}

static void judged_make_bo(struct kunit *test, struct judged *judged)
{
	struct virtgpu_bo_entry *entry;
	struct drm_gem_object *obj;

	obj = virtio_gpu_create_object(NULL, PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(obj));
	judged->bo = gem_to_virtio_gpu_obj(obj);
	judged->bo->hw_res_handle = RES_ID;
	judged->bo->base.sgt = &judged->sgt;
	judged->bo->recycle.lone = true;
	obj->dev = &judged->dev;
	obj->size = PAGE_SIZE;
	obj->resv = &obj->_resv;
	dma_resv_init(obj->resv);
	entry = &judged->bo->recycle.entry;
	entry->ident.kind = VIRTGPU_BO_KIND_BUFFER;
	entry->owner = judged->owner;
	entry->group = judged->group;
}

static int judged_init(struct kunit *test)
{
	struct judged *judged = kunit_kzalloc(test, sizeof(*judged),
					      GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, judged);
	judged->vgdev = kunit_kzalloc(test, sizeof(*judged->vgdev),
				      GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, judged->vgdev);
	judged->vgdev->has_virgl_3d = true;
	judged->dev.dev_private = judged->vgdev;
	spin_lock_init(&judged->vgdev->recycle.state_lock);
	judged->owner = virtgpu_bo_owner_new(1);
	KUNIT_ASSERT_NOT_NULL(test, judged->owner);
	test->priv = judged;
	judged_make_cache(test, judged);
	judged_make_bo(test, judged);
	return 0;
}

static void judged_exit(struct kunit *test)
{
	struct judged *judged = test->priv;

	dma_resv_fini(&judged->bo->base.base._resv);
	kfree(judged->bo);
	virtgpu_bo_group_put(judged->group);
	virtgpu_bo_owner_put(judged->owner);
	virtgpu_bo_cache_kill(&judged->vgdev->recycle.cache);
	virtgpu_bo_cache_fini(&judged->vgdev->recycle.cache);
	xa_destroy(&judged->vgdev->recycle.refused);
}

static void expect_any(struct kunit *test, enum virtgpu_bo_reject reason)
{
	struct judged *judged = test->priv;

	KUNIT_EXPECT_EQ(test, reason,
			virtio_gpu_recycle_judge_any(judged->vgdev,
						     judged->bo));
}

static void expect_resource(struct kunit *test, enum virtgpu_bo_reject reason)
{
	struct judged *judged = test->priv;

	/* The pages may be kept all the same. */
	expect_any(test, VIRTGPU_BO_REJECT_NONE);
	KUNIT_EXPECT_EQ(test, reason,
			virtio_gpu_recycle_judge_resource(judged->vgdev,
							  judged->bo));
}

static void a_plain_bo_is_kept(struct kunit *test)
{
	expect_resource(test, VIRTGPU_BO_REJECT_NONE);
}

/*
 * Neither tier
 */

static void not_when_the_device_is_gone(struct kunit *test)
{
	struct judged *judged = test->priv;

	virtgpu_bo_cache_kill(&judged->vgdev->recycle.cache);
	expect_any(test, VIRTGPU_BO_REJECT_GONE);
}

static void not_when_the_cache_is_off(struct kunit *test)
{
	struct judged *judged = test->priv;
	struct virtgpu_bo_cache *cache = &judged->vgdev->recycle.cache;

	virtgpu_bo_cache_set_enabled(cache, false);
	expect_any(test, VIRTGPU_BO_REJECT_DISABLED);
	virtgpu_bo_cache_set_enabled(cache, true);
	virtgpu_bo_cache_set_timeout(cache, 0);
	expect_any(test, VIRTGPU_BO_REJECT_DISABLED);
}

static void not_imported(struct kunit *test)
{
	struct judged *judged = test->priv;
	struct drm_gem_object *obj = &judged->bo->base.base;

	obj->import_attach = ERR_PTR(-EINVAL);
	expect_any(test, VIRTGPU_BO_REJECT_FOREIGN);
	obj->import_attach = NULL;
	judged->bo->base.sgt = NULL;
	expect_any(test, VIRTGPU_BO_REJECT_FOREIGN);
}

static void not_with_somebody_elses_resv(struct kunit *test)
{
	struct judged *judged = test->priv;
	struct dma_resv resv;

	dma_resv_init(&resv);
	judged->bo->base.base.resv = &resv;
	expect_any(test, VIRTGPU_BO_REJECT_FOREIGN);
	dma_resv_fini(&resv);
}

static void not_larger_than_the_limit(struct kunit *test)
{
	struct judged *judged = test->priv;

	judged->bo->base.base.size = 64 * PAGE_SIZE;
	expect_any(test, VIRTGPU_BO_REJECT_NONE);
	judged->bo->base.base.size = 65 * PAGE_SIZE;
	expect_any(test, VIRTGPU_BO_REJECT_SIZE);
}

static void not_without_a_group(struct kunit *test)
{
	struct judged *judged = test->priv;

	judged->bo->recycle.entry.group = NULL;
	expect_any(test, VIRTGPU_BO_REJECT_NOMEM);
}

static void not_after_pressure(struct kunit *test)
{
	struct judged *judged = test->priv;

	judged->group->backoff_until = ktime_add_ms(ktime_get(), 100000);
	expect_any(test, VIRTGPU_BO_REJECT_PRESSURE);
	judged->group->backoff_until = ktime_get();
	expect_any(test, VIRTGPU_BO_REJECT_NONE);
}

/*
 * Not the resource tier
 */

static void no_blob(struct kunit *test)
{
	struct judged *judged = test->priv;

	judged->bo->guest_blob = true;
	expect_resource(test, VIRTGPU_BO_REJECT_BLOB);
}

static void no_custom(struct kunit *test)
{
	struct judged *judged = test->priv;

	judged->bo->recycle.entry.ident.bind = BIT(17);
	expect_resource(test, VIRTGPU_BO_REJECT_CUSTOM);
}

static void nothing_shared(struct kunit *test)
{
	struct judged *judged = test->priv;

	judged->bo->recycle.shared = true;
	expect_resource(test, VIRTGPU_BO_REJECT_SHARED);
}

static void nothing_without_its_owner(struct kunit *test)
{
	struct judged *judged = test->priv;
	struct virtgpu_bo_cache *cache = &judged->vgdev->recycle.cache;

	judged->bo->recycle.entry.owner = NULL;
	expect_resource(test, VIRTGPU_BO_REJECT_OWNER);
	judged->bo->recycle.entry.owner = judged->owner;
	judged->bo->recycle.lone = false;
	expect_resource(test, VIRTGPU_BO_REJECT_OWNER);
	judged->bo->recycle.lone = true;
	expect_resource(test, VIRTGPU_BO_REJECT_NONE);
	virtgpu_bo_cache_close_owner(cache, judged->owner);
	expect_resource(test, VIRTGPU_BO_REJECT_OWNER);
}

static void nothing_the_host_refused(struct kunit *test)
{
	struct judged *judged = test->priv;
	struct virtio_gpu_recycle *recycle = &judged->vgdev->recycle;

	xa_store(&recycle->refused, RES_ID + 1, xa_mk_value(1), GFP_KERNEL);
	expect_resource(test, VIRTGPU_BO_REJECT_NONE);
	xa_store(&recycle->refused, RES_ID, xa_mk_value(1), GFP_KERNEL);
	expect_resource(test, VIRTGPU_BO_REJECT_REFUSED);
	xa_erase(&recycle->refused, RES_ID);
	recycle->refusal_lost = true;
	expect_resource(test, VIRTGPU_BO_REJECT_REFUSED);
}

static const char *fence_name(struct dma_fence *fence)
{
	return "test";
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_name,
	.get_timeline_name = fence_name,
};

/* A fence of any usage: even one that nobody else waits for. */
static void nothing_busy(struct kunit *test)
{
	struct judged *judged = test->priv;
	struct dma_resv *resv = judged->bo->base.base.resv;
	enum dma_resv_usage usage;
	static DEFINE_SPINLOCK(lock);

	for (usage = DMA_RESV_USAGE_KERNEL; usage <= DMA_RESV_USAGE_BOOKKEEP;
	     usage++) {
		struct dma_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, fence);
		dma_fence_init(fence, &fence_ops, &lock,
			       dma_fence_context_alloc(1), 1);
		dma_resv_lock(resv, NULL);
		KUNIT_ASSERT_EQ(test, 0, dma_resv_reserve_fences(resv, 1));
		dma_resv_add_fence(resv, fence, usage);
		dma_resv_unlock(resv);
		expect_resource(test, VIRTGPU_BO_REJECT_BUSY);
		dma_fence_signal(fence);
		dma_fence_put(fence);
		expect_resource(test, VIRTGPU_BO_REJECT_NONE);
	}
}

/*
 * Detaching
 */

static bool stays_attached(struct kunit *test, struct virtgpu_bo_owner *closer)
{
	struct judged *judged = test->priv;
	struct virtio_gpu_fpriv fpriv = { .bo_owner = closer };
	struct drm_file file = { .driver_priv = &fpriv };

	judged->bo->recycle.attached = true;
	return virtio_gpu_recycle_close(&judged->bo->base.base, &file);
}

static void owned_stays_attached(struct kunit *test)
{
	struct judged *judged = test->priv;

	KUNIT_EXPECT_TRUE(test, stays_attached(test, judged->owner));
	expect_resource(test, VIRTGPU_BO_REJECT_NONE);
}

static void shared_is_detached(struct kunit *test)
{
	struct judged *judged = test->priv;

	judged->bo->recycle.shared = true;
	KUNIT_EXPECT_FALSE(test, stays_attached(test, judged->owner));
}

/* A blob, say.  It must not be dropped before it is detached, either. */
static void unowned_is_detached(struct kunit *test)
{
	struct judged *judged = test->priv;
	struct virtio_gpu_recycle_bo *state = &judged->bo->recycle;

	state->entry.owner = NULL;
	KUNIT_EXPECT_FALSE(test, stays_attached(test, judged->owner));
	KUNIT_EXPECT_TRUE(test, state->detached);
	KUNIT_EXPECT_FALSE(test, state->shared);
	state->entry.owner = judged->owner;
	expect_resource(test, VIRTGPU_BO_REJECT_OWNER);
}

/* It may be dropped at any moment, and the host must not be asked after that. */
static void unneeded_is_not_detached(struct kunit *test)
{
	struct judged *judged = test->priv;
	struct virtio_gpu_recycle_bo *state = &judged->bo->recycle;

	state->entry.owner = NULL;
	for (state->need = VIRTIO_GPU_NEED_NO;
	     state->need <= VIRTIO_GPU_NEED_DROPPED; state->need++)
		KUNIT_EXPECT_TRUE(test, stays_attached(test, judged->owner));
	virtgpu_bo_cache_set_enabled(&judged->vgdev->recycle.cache, false);
	state->need = VIRTIO_GPU_NEED_NO;
	KUNIT_EXPECT_TRUE(test, stays_attached(test, judged->owner));
	state->entry.owner = judged->owner;
}

/*
 * Doing without
 */

static int do_without(struct kunit *test)
{
	struct judged *judged = test->priv;
	struct drm_gem_object *obj = &judged->bo->base.base;
	struct virtio_gpu_fpriv fpriv = { .bo_owner = judged->owner };
	struct drm_file file = {
		.driver_priv = &fpriv,
		.object_idr = IDR_INIT(file.object_idr),
	};
	struct drm_virtgpu_madvise args = { .madv = VIRTGPU_MADV_DONTNEED };
	int handle, ret;

	kref_init(&obj->refcount);
	spin_lock_init(&file.table_lock);
	handle = idr_alloc(&file.object_idr, obj, 1, 0, GFP_KERNEL);
	KUNIT_ASSERT_GT(test, handle, 0);
	args.bo_handle = handle;
	ret = virtio_gpu_madvise_ioctl(&judged->dev, &args, &file);
	idr_destroy(&file.object_idr);
	return ret;
}

static void expect_needed_if(struct kunit *test, bool *flag)
{
	struct judged *judged = test->priv;
	struct virtgpu_bo_cache *cache = &judged->vgdev->recycle.cache;
	struct virtio_gpu_recycle_bo *state = &judged->bo->recycle;

	virtgpu_bo_cache_set_timeout(cache, VIRTGPU_BO_TIMEOUT_MAX_MS);
	*flag = true;
	KUNIT_EXPECT_EQ(test, -EINVAL, do_without(test));
	KUNIT_EXPECT_EQ(test, VIRTIO_GPU_NEED_YES, state->need);
	*flag = false;
	KUNIT_EXPECT_EQ(test, 0, do_without(test));
	KUNIT_EXPECT_EQ(test, VIRTIO_GPU_NEED_NO, state->need);
	virtgpu_bo_cache_leave(cache, &state->entry);
}

/* Also while it is being exported, before DRM knows of the dma-buf. */
static void what_is_shared_is_needed(struct kunit *test)
{
	struct judged *judged = test->priv;

	expect_needed_if(test, &judged->bo->recycle.shared);
}

/* Else the host could be told to detach what it has been told to drop. */
static void what_is_detached_is_needed(struct kunit *test)
{
	struct judged *judged = test->priv;

	expect_needed_if(test, &judged->bo->recycle.detached);
}

static struct kunit_case recycle_cases[] = {
	KUNIT_CASE(a_plain_bo_is_kept),
	KUNIT_CASE(not_when_the_device_is_gone),
	KUNIT_CASE(not_when_the_cache_is_off),
	KUNIT_CASE(not_imported),
	KUNIT_CASE(not_with_somebody_elses_resv),
	KUNIT_CASE(not_larger_than_the_limit),
	KUNIT_CASE(not_without_a_group),
	KUNIT_CASE(not_after_pressure),
	KUNIT_CASE(no_blob),
	KUNIT_CASE(no_custom),
	KUNIT_CASE(nothing_shared),
	KUNIT_CASE(nothing_without_its_owner),
	KUNIT_CASE(nothing_the_host_refused),
	KUNIT_CASE(nothing_busy),
	KUNIT_CASE(owned_stays_attached),
	KUNIT_CASE(shared_is_detached),
	KUNIT_CASE(unowned_is_detached),
	KUNIT_CASE(unneeded_is_not_detached),
	KUNIT_CASE(what_is_shared_is_needed),
	KUNIT_CASE(what_is_detached_is_needed),
	{}
};

static struct kunit_suite recycle_suite = {
	.name = "virtgpu_recycle",
	.init = judged_init,
	.exit = judged_exit,
	.test_cases = recycle_cases,
};

kunit_test_suite(recycle_suite);
