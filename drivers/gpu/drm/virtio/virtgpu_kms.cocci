// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_kms.c: set up and taken down with the device; an open file is an owner.

@init@
@@
virtio_gpu_init(...)
{
<...
spin_lock_init(&vgdev->obj_free_lock);
+virtio_gpu_recycle_init(vgdev);
...>
}

@deinit@
@@
virtio_gpu_deinit(...)
{
...
flush_work(&vgdev->obj_free_work);
+virtio_gpu_recycle_deinit(vgdev);
...
}

@reset@
@@
virtio_gpu_deinit(...)
{
...
virtio_reset_device(...);
+virtio_gpu_recycle_unanswered(vgdev);
...
}

@file_open@
@@
virtio_gpu_driver_open(...)
{
<...
+virtio_gpu_recycle_file_open(vfpriv);
file->driver_priv = vfpriv;
...>
}

@file_close@
@@
virtio_gpu_driver_postclose(...)
{
...
+virtio_gpu_recycle_file_close(vgdev, vfpriv);
if (vfpriv->context_created) { ... }
...
}
