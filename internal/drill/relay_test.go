package drill

import (
	"io"
	"net"
	"testing"
)

// A relay passes on both ways, counts what goes home, and cuts.
func TestARelayPassesOnCountsAndCuts(t *testing.T) {
	home, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	r, err := openRelay(t.Context(), home.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	dialer := net.Dialer{}
	here, err := dialer.DialContext(t.Context(), "tcp", r.address())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := home.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	for _, way := range []struct{ from, to net.Conn }{{here, there}, {there, here}} {
		if _, err := way.from.Write([]byte("footage")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 7)
		if _, err := io.ReadFull(way.to, got); err != nil || string(got) != "footage" {
			t.Fatalf("passed on %q, %v", got, err)
		}
	}
	if n := r.cut(); n != 1 {
		t.Errorf("%d connections were cut, want 1", n)
	}
	for _, end := range []net.Conn{here, there} {
		if _, err := end.Read(make([]byte, 1)); err == nil {
			t.Error("a connection goes on after the cut")
		}
	}
	r.close() // what was written is counted when it has gone
	if n := r.bytes.Load(); n != 7 {
		t.Errorf("%d bytes went home, want 7", n)
	}
}
