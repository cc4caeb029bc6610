// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_vq.c: the host's answers that recycling waits for.

@released@
@@
virtio_gpu_cmd_unref_cb(...)
{
...
-virtio_gpu_cleanup_object(bo);
+virtio_gpu_recycle_released(vgdev, vbuf, bo);
...
}

@refused@
@@
virtio_gpu_dequeue_ctrl_func(...)
{
<...
cmd = virtio_gpu_vbuf_ctrl_hdr(entry);
+virtio_gpu_recycle_host_error(vgdev, cmd);
...>
}
