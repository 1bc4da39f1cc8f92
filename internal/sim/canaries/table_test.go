package main

import "testing"

// Whoever changes a line that a bug is planted in learns it here, and not hours later from `make canaries`.
func TestEachPlaceIsThereOnce(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, c := range canaries {
		if names[c.name] {
			t.Errorf("%s: the name is used twice", c.name)
		}
		names[c.name] = true
		if _, err := c.plant("../../..", t.TempDir()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
