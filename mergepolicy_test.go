package understudy_test

import (
	"testing"
	"time"

	us "understudy"
)

func TestMergeWindowsAreWeekly(t *testing.T) {
	policy := us.MergePolicy{BytesPerSecond: 1e6, Windows: "mon-fri 20:00-06:00; sat,sun 00:00-24:00 50MB/s"}
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   string
		rate int64
		open bool
	}{
		{"Mon 2026-11-23 19:59", 0, false},
		{"Mon 2026-11-23 20:00", 1e6, true},
		{"Tue 2026-11-24 05:59", 1e6, true},
		{"Tue 2026-11-24 06:00", 0, false},
		{"Sat 2026-11-28 05:59", 1e6, true}, // Friday's night comes first
		{"Sat 2026-11-28 06:00", 50e6, true},
		{"Sun 2026-11-29 23:59", 50e6, true},
		{"Mon 2026-11-30 00:00", 0, false},
	} {
		at, err := time.Parse("Mon 2006-01-02 15:04", c.at)
		if err != nil {
			t.Fatal(err)
		}
		if rate, open := policy.At(at); rate != c.rate || open != c.open {
			t.Errorf("%s: %d bytes a second, open %v; want %d, %v", c.at, rate, open, c.rate, c.open)
		}
	}
	if rate, open := (us.MergePolicy{}).At(time.Now()); rate != 0 || !open {
		t.Error("without windows footage may come home at any time")
	}
}

func TestMergePolicyValidate(t *testing.T) {
	for name, bad := range map[string]us.MergePolicy{
		"a crawl":          {BytesPerSecond: 10},
		"negative":         {BytesPerSecond: -1},
		"a grace of weeks": {Grace: 200 * time.Hour},
		"no day":           {Windows: "20:00-06:00"},
		"another day":      {Windows: "tuesday 20:00-06:00"},
		"no end":           {Windows: "mon 20:00"},
		"25 o'clock":       {Windows: "mon 20:00-25:00"},
		"61 minutes":       {Windows: "mon 20:61-21:00"},
		"begins at 24":     {Windows: "mon 24:00-02:00"},
		"no rate":          {Windows: "mon 20:00-21:00 fast"},
		"not a number":     {Windows: "mon 20:00-21:00 NaN"},
		"too many words":   {Windows: "mon 20:00-21:00 1MB/s please"},
	} {
		if err := bad.Validate(); err == nil || us.CodeOf(err) != us.CodeInvalid {
			t.Errorf("%s: %v, want CodeInvalid", name, err)
		}
	}
	for _, windows := range []string{"", ";", "daily 00:00-24:00", "sat-mon 22:30-04:00 800kB/s;", "mon 00:00-00:00"} {
		if err := (us.MergePolicy{Windows: windows}).Validate(); err != nil {
			t.Errorf("%q: %v", windows, err)
		}
	}
}

func FuzzMergeWindows(f *testing.F) {
	f.Add("mon-fri 20:00-06:00; sat,sun 00:00-24:00 50MB/s", int64(0))
	f.Add("daily 00:00-24:00", int64(1e9))
	f.Fuzz(func(t *testing.T, windows string, unix int64) {
		p := us.MergePolicy{Windows: windows, BytesPerSecond: 5000}
		rate, open := p.At(time.Unix(unix%1e11, 0).UTC())
		if p.Validate() == nil && (rate < 0 || open && rate < 1000) {
			t.Errorf("%q: %d bytes a second, open %v", windows, rate, open)
		}
	})
}
