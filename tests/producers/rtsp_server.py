"""A real RTSP server for the live tests: `/usr/bin/python3 rtsp_server.py PORT FILE.mp4` serves it at /cam, over and
over for each client. Runs under Debian's own Python, which has GStreamer's bindings."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={sys.argv[2]} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 )"
)
server.get_mount_points().add_factory("/cam", factory)
if server.attach(None) == 0:
    sys.exit(f"port {sys.argv[1]} is taken")
print("ready", flush=True)
GLib.MainLoop().run()
