package bench

import (
	"os/exec"
	"path/filepath"
	"testing"

	"understudy/internal/postgres"
)

// What is measured is done: every claim is granted, and every client told of it once.
func TestManagementGrantsAndTellsAll(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "understudy")
	if out, err := exec.Command("go", "build", "-o", binary, "understudy/cmd/understudy").CombinedOutput(); err != nil {
		t.Fatalf("the program cannot be built: %v\n%s", err, out)
	}
	for _, store := range []string{"sqlite", "postgres"} {
		r, err := Management(t.Context(), ManagementOptions{Store: store, Servers: 12, Cameras: 3, Failing: 5, Clients: 20, Seconds: 1,
			Dir: postgres.InMemory(), Binary: binary, Say: func(string) {}})
		if err != nil {
			t.Fatal(store, err)
		}
		if r.EventsLost != 0 || r.EventsDoubled != 0 || r.AllGranted <= 0 || r.Told != 20 || r.Claims != claimsASecond || r.ClaimP99 < r.ClaimMedian ||
			r.Heartbeats <= 0 || r.Logins != loginsASecond || r.LoginP99 <= 0 || r.LoginRSS <= 0 || r.ChannelRSS <= 0 {
			t.Errorf("%s: measured %+v", store, r)
		}
	}
}
