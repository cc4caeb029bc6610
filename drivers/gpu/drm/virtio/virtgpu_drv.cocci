// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_drv.c: the knobs come with the device, and all is given back before
// the device is out of reach; what a client uses is shown to it.

@add_knobs@
identifier label;
@@
virtio_gpu_probe(...)
{
<...
ret = drm_dev_register(dev, 0);
if (ret) goto label;
+virtio_gpu_bo_cache_sysfs_add(dev->dev_private);
...>
}

@drain@
@@
virtio_gpu_remove(...)
{
...
+virtio_gpu_recycle_unregister(dev->dev_private);
drm_dev_unplug(dev);
...
}

@remove_knobs@
@@
+virtio_gpu_bo_cache_sysfs_del(dev->dev_private);
virtio_gpu_recycle_unregister(dev->dev_private);

// kernel: >= 6.12
@fops@
declarer name DEFINE_DRM_GEM_FOPS;
identifier ops;
@@
-DEFINE_DRM_GEM_FOPS(ops);

// kernel: >= 6.12
@fdinfo@
identifier driver;
expression ops;
@@
struct drm_driver driver = {
-.fops = ops,
+.fops = &virtio_gpu_fdinfo_fops,
+.show_fdinfo = virtio_gpu_fdinfo_show,
};
