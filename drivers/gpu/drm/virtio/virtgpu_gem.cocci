// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_gem.c: dumb BOs are recycled; a lone handle's CTX_DETACH is withheld,
// and with it the CTX_ATTACH of the handle that follows.

@create@
expression params, bo_ptr;
@@
virtio_gpu_gem_create(...)
{
<...
-virtio_gpu_object_create(vgdev, params, bo_ptr, NULL)
+virtio_gpu_recycle_create(file, vgdev, params, bo_ptr, false)
...>
}

@may_open@
identifier label;
@@
virtio_gpu_gem_object_open(...)
{
<...
+if (virtio_gpu_recycle_may_open(obj))
+	return -EINVAL;
 if (!vgdev->has_virgl_3d)
 	goto label;
...>
}

@locked@
@@
virtio_gpu_array_lock_resv(...)
{
...
 for (...;...;...) {
 ...
 }
-return ret;
+return virtio_gpu_madvise_locked(objs);
}

@open@
identifier label;
@@
virtio_gpu_gem_object_open(...)
{
<...
 if (!vgdev->has_virgl_3d)
 	goto label;
+if (virtio_gpu_recycle_open(obj))
+	return 0;
...>
}

@attached@
expression list args;
@@
virtio_gpu_gem_object_open(...)
{
<...
virtio_gpu_cmd_context_attach_resource(args);
+virtio_gpu_recycle_attached(obj);
...>
}

@close@
@@
virtio_gpu_gem_object_close(...)
{
<...
 if (!vgdev->has_virgl_3d)
 	return;
+if (virtio_gpu_recycle_close(obj, file))
+	return;
...>
}
