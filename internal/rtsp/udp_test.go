package rtsp

import (
	"net"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/readbuffer"
)

// The kernel keeps more of a camera's packets than of anybody's, however little the machine allows.
func TestTheBufferOfUDP(t *testing.T) {
	size := func(listen func(network, address string) (net.PacketConn, error)) int {
		conn, err := listen("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		bytes, err := readbuffer.ReadBuffer(conn.(*net.UDPConn))
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	if ours, usual := size(listenUDP), size(net.ListenPacket); ours <= usual {
		t.Errorf("the buffer is %d bytes, and %d without asking", ours, usual)
	}
}
