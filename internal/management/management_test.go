package management_test

import (
	"testing"

	"pgregory.net/rapid"

	"understudy/internal/management"
	"understudy/internal/management/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(testing.TB) management.Store { return management.NewMemory() })
}

func TestOrdersEnd(t *testing.T) { storetest.OrdersEnd(t) }

func TestOrderEndsBeforeAClaim(t *testing.T) { storetest.OrderEndsBeforeAClaim(t) }

func TestWhatAlwaysHolds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) { storetest.Properties(r, t, management.NewMemory()) })
}
