package management_test

import (
	"testing"

	"understudy/internal/management"
	"understudy/internal/management/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(testing.TB) management.Store { return management.NewMemory() })
}
