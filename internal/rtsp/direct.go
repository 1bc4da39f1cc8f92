package rtsp

import (
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"
	ntptime "github.com/bluenviron/gortsplib/v5/pkg/ntp"
	"github.com/bluenviron/gortsplib/v5/pkg/rtcpunmarshaler"
	"github.com/pion/rtcp"
)

// direct is a track whose packets do not come through the library.
type direct struct {
	pull   *pull
	format format.Format
	decode func(p packet) // within its bounds; keeps nothing of the payload

	begun  bool
	number uint16 // of the last packet
	source uint32 // of the last packet
	report *rtcp.SenderReport
}

// divert makes the packets of a media that was set up come straight from the
// connection; response says on which channels.
func (p *pull) divert(to *takers, media *description.Media, response *base.Response) {
	var transport headers.Transport
	if p.conn == nil || transport.Unmarshal(response.Header["Transport"]) != nil || transport.InterleavedIDs == nil {
		return
	}
	d := &direct{pull: p}
	switch {
	case media == p.videoMedia && p.direct != nil:
		d.format, d.decode = p.videoFormat, func(packet packet) {
			p.direct.push(packet, func(unit [][]byte, timestamp uint32) { p.videoUnit(unit, timestamp, d.ntp(timestamp)) })
		}
	case media == p.videoMedia:
		d.format, d.decode = p.videoFormat, func(packet packet) {
			if unit, err := p.decodeVideo(packet.whole()); err == nil {
				p.videoUnit(unit, packet.timestamp, d.ntp(packet.timestamp))
			}
		}
	case media == p.audioMedia:
		d.format, d.decode = p.audioFormat, func(packet packet) { p.audioFrames(packet.whole(), d.ntp(packet.timestamp)) }
	default:
		return
	}
	*to = append(*to, taker{byte(transport.InterleavedIDs[0]), d.rtp}, taker{byte(transport.InterleavedIDs[1]), d.rtcp})
}

// rtp takes a packet of the track.
func (d *direct) rtp(b []byte) {
	p, ok := parsePacket(b)
	if !ok || p.kind != d.format.PayloadType() {
		d.pull.config.Log.Debug("a packet cannot be read", "url", d.pull.config.URL, "bytes", len(b))
		return
	}
	if lost := p.number - d.number - 1; d.begun && lost != 0 {
		d.pull.config.Log.Debug("packets lost", "url", d.pull.config.URL, "lost", lost)
	}
	d.begun, d.number, d.source = true, p.number, p.source
	d.decode(p)
}

// rtcp takes a control packet of the track: sender reports say what the
// camera's clock showed.
func (d *direct) rtcp(b []byte) {
	packets, err := rtcpunmarshaler.Unmarshal(b)
	if err != nil {
		return
	}
	for _, p := range packets {
		// The first report may come before the first packet, which tells whose it is.
		if report, ok := p.(*rtcp.SenderReport); ok && (!d.begun || report.SSRC == d.source) {
			d.report = report
		}
	}
}

// ntp returns the time of the camera's clock at a timestamp; zero where the
// camera has not told.
func (d *direct) ntp(timestamp uint32) time.Time {
	rate := d.format.ClockRate()
	if d.report == nil || d.report.SSRC != d.source || rate <= 0 {
		return time.Time{}
	}
	ticks := time.Duration(int32(timestamp - d.report.RTPTime))
	return ntptime.Decode(d.report.NTPTime).Add(ticks * time.Second / time.Duration(rate))
}
