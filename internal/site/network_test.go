package site

import "testing"

// No two sites have one network at once.
func TestTakeNetwork(t *testing.T) {
	taken := map[string]bool{}
	for range 50 {
		network, release, err := TakeNetwork(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if network == "127.0.0." {
			t.Skip("this machine has no loopback network of its own")
		}
		if taken[network] {
			t.Fatalf("%s was given out twice", network)
		}
		taken[network] = true
		t.Cleanup(release)
		if l, err := listen(t.Context(), join(network+"254", lockPort)); err == nil {
			l.Close()
			t.Fatalf("%s is not held", network)
		}
	}
}
