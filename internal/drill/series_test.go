package drill

import "testing"

func TestQuantilesAreFiguresThatWereMeasured(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(100 - i)
	}
	for _, c := range []struct {
		figures []int64
		want    Quantiles
	}{
		{nil, Quantiles{}},
		{[]int64{7}, Quantiles{7, 7, 7}},
		{[]int64{3, 1, 2}, Quantiles{2, 3, 3}},
		{hundred, Quantiles{50, 99, 100}},
	} {
		if got := quantiles(c.figures); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.figures, got, c.want)
		}
	}
}
