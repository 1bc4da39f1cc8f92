package vault_test

import (
	"errors"
	"slices"
	"testing"

	"understudy"
	"understudy/internal/vault"
	"understudy/internal/vault/vaulttest"
)

// counting is a vault that counts what is written, and may fail.
type counting struct {
	vaulttest.Memory
	sealed int
	fails  error
}

func (c *counting) SealFile(name string, plain []byte) error {
	c.sealed++
	if c.fails != nil {
		return c.fails
	}
	return c.Memory.SealFile(name, plain)
}

// TestAListIsWrittenWhenItChanges: and only then; what could not be written is tried again.
func TestAListIsWrittenWhenItChanges(t *testing.T) {
	c := &counting{}
	l, all, err := vault.OpenList[int](c, "numbers")
	if len(all) != 0 || understudy.CodeOf(err) != understudy.CodeNotFound {
		t.Fatalf("of nothing: %v, %v", all, err)
	}
	full := errors.New("the disk is full")
	for i, step := range []struct {
		list   []int
		fails  error
		sealed int
	}{
		{nil, nil, 0}, {[]int{1}, full, 1}, {[]int{1}, nil, 2}, {[]int{1}, nil, 2}, {[]int{1, 2}, nil, 3}, {nil, nil, 4}, {[]int{}, nil, 4}, {[]int{3}, nil, 5},
	} {
		c.fails = step.fails
		if err := l.Keep(step.list); !errors.Is(err, step.fails) || c.sealed != step.sealed {
			t.Errorf("step %d: %v, and written %d times, want %d", i, err, c.sealed, step.sealed)
		}
	}
	l, all, err = vault.OpenList[int](c, "numbers")
	if err != nil || !slices.Equal(all, []int{3}) {
		t.Errorf("kept is %v, %v", all, err)
	}
	if err := l.Keep([]int{3}); err != nil || c.sealed != 5 {
		t.Errorf("what lies there is written again: %v", err)
	}
	if err := c.Memory.SealFile("numbers", []byte("no list")); err != nil {
		t.Fatal(err)
	}
	if l, _, err = vault.OpenList[int](c, "numbers"); err == nil || understudy.CodeOf(err) == understudy.CodeNotFound {
		t.Errorf("of a damaged file: %v", err)
	}
	if err := l.Keep([]int{4}); err != nil || c.sealed != 6 {
		t.Errorf("a list goes on where the one before could not be read: %v", err)
	}
}
