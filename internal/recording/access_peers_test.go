package recording

import (
	"crypto/tls"
	"net"
	"slices"
	"testing"

	"understudy"
	"understudy/internal/wire"
)

// The state port and the merge port are for servers, by their certificates; a media
// token opens neither. Who is let in says the first word, and is answered. What a
// failover server may send home once it is in, internal/merge decides by message.
func TestAccessOfServers(t *testing.T) {
	t.Parallel()
	site := newInstallation(t)
	r := site.start(site.join("rec-1", understudy.RoleRecording), options{})
	askers := site.askers(t, r.node)
	for port, object := range map[string]struct {
		address string
		first   any
		allowed []string
	}{
		"11000":                    {r.addresses.State, understudy.Poll{}, []string{rec2, fo1, managing, channelOne}},
		"11000, in another's name": {r.addresses.State, understudy.Poll{Observer: "fo-9"}, nil},
		"5210":                     {r.addresses.Merge, map[string]any{"hello": map[string]int{"version": 3}}, []string{fo1}},
		"5210, without a greeting": {r.addresses.Merge, map[string]any{"confirm": map[string]any{}}, nil},
	} {
		for _, who := range everyone {
			answer, err := askers[who].say(t, object.address, object.first)
			if got := err == nil && answer["code"] == nil; got != slices.Contains(object.allowed, who) {
				t.Errorf("%s by %s: %v, %v", port, who, answer, err)
			}
		}
	}
}

// say sends one message and returns the answer; an error when there is none.
func (a asker) say(t *testing.T, address string, message any) (answer map[string]any, err error) {
	t.Helper()
	c, err := (&tls.Dialer{Config: a.tls}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func(c net.Conn) { c.Close() }(c)
	if err := wire.Write(c, message); err != nil {
		return nil, err
	}
	return answer, wire.Read(c, 1<<20, &answer)
}
