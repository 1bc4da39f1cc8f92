package bench

import (
	"testing"

	"understudy/internal/postgres"
)

// What is measured is done: every claim is granted and told once.
func TestManagementGrantsAll(t *testing.T) {
	for _, store := range []string{"sqlite", "postgres"} {
		result, err := Management(t.Context(), ManagementOptions{Store: store, Servers: 12, Cameras: 3, Failing: 5, Seconds: 1, Dir: postgres.InMemory(), Say: func(string) {}})
		if err != nil {
			t.Fatal(store, err)
		}
		if result.EventsLost != 0 || result.EventsDoubled != 0 || result.AllGranted <= 0 || result.Claims != claimsASecond || result.ClaimP99 < result.ClaimMedian || result.Heartbeats <= 0 {
			t.Errorf("%s: measured %+v", store, result)
		}
	}
}
