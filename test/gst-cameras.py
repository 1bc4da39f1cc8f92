#!/usr/bin/python3
"""Cameras that this project did not write: GStreamer's RTSP server.

    test/gst-cameras.py [--port N] [--host H] NAME=FILE.mp4 ...

serves each file's video (H.264 or H.265) at rtsp://HOST:PORT/NAME, coded as it
is, in a loop, in real time, with RTCP sender reports. All sessions of a camera
carry the same bytes. Prints one line "NAME URL" for each camera when they can
be pulled, and runs until it is interrupted. It stops, too, when its standard
input was a pipe and is closed (--until-eof), so that it never outlives a test.

Needs python3-gi, gir1.2-gst-rtsp-server-1.0 and GStreamer's base, good and bad
plug-ins (Debian's names).
"""

import argparse
import os
import signal
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PARSERS = {"video/x-h264": ("h264parse", "rtph264pay"), "video/x-h265": ("h265parse", "rtph265pay")}


class Clip:
    """The access units of a file, as bytes with start codes, in decode order."""

    def __init__(self, name):
        self.caps, self.units = None, []
        kind = self.kind_of(name)
        parser, self.payloader = PARSERS[kind]
        self.parser = parser
        pipeline = Gst.parse_launch(
            f'filesrc location="{name}" ! qtdemux ! {parser} config-interval=-1 ! '
            f"{kind},stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
        )
        pipeline.set_state(Gst.State.PLAYING)
        out = pipeline.get_by_name("out")
        while sample := out.emit("pull-sample"):
            buffer = sample.get_buffer()
            self.caps = sample.get_caps().to_string()
            self.units.append((buffer.extract_dup(0, buffer.get_size()), buffer.dts, buffer.pts, buffer.duration))
        pipeline.set_state(Gst.State.NULL)
        if not self.units:
            sys.exit(f"{name}: no video could be read")
        first = self.units[0][1] if self.units[0][1] != Gst.CLOCK_TIME_NONE else self.units[0][2]
        self.units = [
            (data, (dts if dts != Gst.CLOCK_TIME_NONE else pts) - first, max(0, pts - first), duration)
            for data, dts, pts, duration in self.units
        ]
        last = self.units[-1]
        usual = last[1] // max(1, len(self.units) - 1)
        self.length = last[1] + (last[3] if last[3] != Gst.CLOCK_TIME_NONE else usual)

    @staticmethod
    def kind_of(name):
        """The caps name of a file's video."""
        pipeline = Gst.parse_launch(f'filesrc location="{name}" ! qtdemux name=demux')
        found = []

        def on_pad(_, pad):
            kind = pad.get_current_caps().get_structure(0).get_name()
            if kind in PARSERS:
                found.append(kind)

        pipeline.get_by_name("demux").connect("pad-added", on_pad)
        pipeline.set_state(Gst.State.PAUSED)
        pipeline.get_bus().timed_pop_filtered(3 * Gst.SECOND, Gst.MessageType.ERROR | Gst.MessageType.ASYNC_DONE)
        deadline = time.monotonic() + 3
        while not found and time.monotonic() < deadline:
            time.sleep(0.01)
        pipeline.set_state(Gst.State.NULL)
        if not found:
            sys.exit(f"{name}: neither H.264 nor H.265 video was found in it")
        return found[0]


class Camera(GstRtspServer.RTSPMediaFactory):
    """A camera whose clip plays on whether anybody watches or not."""

    def __init__(self, clip, start):
        super().__init__()
        self.clip, self.start = clip, start
        self.set_shared(True)  # one encoder for all sessions, as in a camera
        self.set_launch(
            f"( appsrc name=source is-live=true format=time max-bytes=0 ! {clip.parser} ! "
            f"{clip.payloader} name=pay0 pt=96 config-interval=-1 )"
        )
        self.connect("media-configure", self.configure)

    def configure(self, _, media):
        source = media.get_element().get_child_by_name("source")
        source.set_property("caps", Gst.Caps.from_string(self.clip.caps))
        stop = threading.Event()
        media.connect("unprepared", lambda *_: stop.set())
        threading.Thread(target=self.play, args=(source, stop), daemon=True).start()

    def play(self, source, stop):
        """Pushes the access units when they are due, from where the clip stands now."""
        clip, begun = self.clip, None
        now = time.monotonic_ns() - self.start
        loop, inside = divmod(now, clip.length)
        index = next((i for i, u in enumerate(clip.units) if u[1] >= inside), len(clip.units))
        while not stop.is_set():
            if index == len(clip.units):
                loop, index = loop + 1, 0
            data, dts, pts, _ = clip.units[index]
            due = loop * clip.length + dts
            delay = (self.start + due - time.monotonic_ns()) / 1e9
            if delay > 0 and stop.wait(delay):
                return
            if begun is None:
                begun = due
            buffer = Gst.Buffer.new_wrapped(data)
            buffer.dts = due - begun
            buffer.pts = loop * clip.length + pts - begun
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
            index += 1


def announce(names, urls):
    """Prints the cameras once they send.

    A viewer of our own stays with each of them: without any, GStreamer takes the
    pipeline down, and the next session would wait for a new one to be built,
    while a camera encodes on whether anybody watches or not.
    """
    viewers = []
    for url in urls:
        viewer = Gst.parse_launch(f"rtspsrc location={url} protocols=tcp ! appsink name=out sync=false max-buffers=1 drop=true")
        viewer.set_state(Gst.State.PLAYING)
        viewers.append(viewer)
    for name, url, viewer in zip(names, urls, viewers):
        if viewer.get_by_name("out").emit("pull-sample") is None:
            print(f"{name} does not send", file=sys.stderr)
            os._exit(1)
        print(f"{name} {url}", flush=True)
    threading.Event().wait()  # keeps the viewers


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", default="0", help="0 takes a free one")
    arguments.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    arguments.add_argument("camera", nargs="+", metavar="NAME=FILE.mp4")
    given = arguments.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address(given.host)
    server.set_service(given.port)
    start, names = time.monotonic_ns(), []
    for camera in given.camera:
        name, _, path = camera.partition("=")
        if not os.path.exists(path):
            sys.exit(f"{camera}: expected NAME=FILE.mp4, and there is no file {path!r}")
        server.get_mount_points().add_factory("/" + name, Camera(Clip(path), start))
        names.append(name)
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on {given.host}:{given.port}; choose another port")
    urls = [f"rtsp://{given.host}:{server.get_bound_port()}/{name}" for name in names]

    loop = GLib.MainLoop()
    threading.Thread(target=announce, args=(names, urls), daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    if given.until_eof:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), loop.quit()), daemon=True).start()
    loop.run()
    os._exit(0)  # taking pipelines down takes seconds, and nothing of theirs is worth it


if __name__ == "__main__":
    main()
