package fmp4

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"understudy"
)

// fragmentUUID marks the private box of a fragment: bb1f7a5e-6a41-4c62-9d0e-757366726100.
var fragmentUUID = [16]byte{0xbb, 0x1f, 0x7a, 0x5e, 0x6a, 0x41, 0x4c, 0x62, 0x9d, 0x0e, 'u', 's', 'f', 'r', 'a', 0x00}

// Bounds of what is read. What is written keeps them by its own, lower ones.
const (
	maxHeader   = 1 << 20  // ftyp, moov and the private box together
	maxMoof     = 4 << 20  // 80,000 samples
	maxFragment = 64 << 20 // mdat
)

// Sizes of boxes and entries (ISO/IEC 14496-12 §8.8; the private box is ours).
const (
	mfhdSize      = 16
	tfhdSize      = 16
	tfdtSize      = 20
	trunSize      = 20 // without entries
	trunEntrySize = 16 // duration, size, flags, composition offset
	privateSize   = 32 // without entries
	entrySize     = 32 // capture time, duration, hash
)

// Flags of boxes and samples (§8.8.7, §8.8.8, §8.8.3.1).
const (
	tfhdFlags   = 0x020000 // default-base-is-moof
	trunFlags   = 0x000f01 // data offset; duration, size, flags and composition offset of each sample
	syncSample  = 0x02000000
	otherSample = 0x01010000
)

// run is the samples of one track of a fragment.
type run struct {
	track   understudy.Track
	samples []TimedSample
}

// MarshalFragment returns moof and mdat of samples of the tracks, each track's
// in order of time. Decode times count from base; a sample before it is put at
// 0. CodeInvalid for a track that is not there or more than a fragment holds.
func MarshalFragment(tracks []understudy.Track, sequence uint32, base time.Time, samples []TimedSample) ([]byte, error) {
	parts, err := FragmentParts(tracks, sequence, base, samples)
	return slices.Concat(parts...), err
}

// FragmentParts is MarshalFragment for a vectored write: a head, and the
// samples' own payloads, uncopied.
func FragmentParts(tracks []understudy.Track, sequence uint32, base time.Time, samples []TimedSample) ([][]byte, error) {
	var runs []run
	payload, found := 0, 0
	for _, t := range tracks {
		r := run{track: t, samples: samplesOf(samples, t.ID)}
		for _, s := range r.samples {
			payload += len(s.Payload)
		}
		if found += len(r.samples); len(r.samples) > 0 {
			runs = append(runs, r)
		}
	}
	moof := 8 + mfhdSize + privateSize + len(runs)*(8+tfhdSize+tfdtSize+trunSize) + found*(trunEntrySize+entrySize)
	switch {
	case found != len(samples) || found == 0:
		return nil, understudy.Errorf(understudy.CodeInvalid, "a fragment needs samples of its tracks, found %d of %d", found, len(samples))
	case moof > maxMoof || payload > maxFragment-8:
		return nil, understudy.Errorf(understudy.CodeInvalid, "a fragment may hold %d bytes, and %d samples have %d", maxFragment, found, payload)
	}

	b := make([]byte, 0, moof+8)
	b = appendBox(b, moof, "moof")
	b = appendBox(b, mfhdSize, "mfhd")
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, sequence)
	dataOffset := moof + 8
	for _, r := range runs {
		b = r.appendTraf(b, base, dataOffset)
		for _, s := range r.samples {
			dataOffset += len(s.Payload)
		}
	}
	b, crcAt := appendPrivate(b, runs, found)
	b = appendBox(b, 8+payload, "mdat")
	parts := make([][]byte, 0, 1+found)
	parts = append(parts, b)
	sum := crc32.Checksum(b, castagnoli)
	for _, r := range runs {
		for _, s := range r.samples {
			parts = append(parts, s.Payload)
			if s.Sum != 0 {
				sum = joinSums(sum, s.Sum, len(s.Payload))
			} else {
				sum = crc32.Update(sum, castagnoli, s.Payload)
			}
		}
	}
	binary.BigEndian.PutUint32(b[crcAt:], sum)
	return parts, nil
}

// samplesOf returns those of one track: mostly all there are.
func samplesOf(samples []TimedSample, track int) []TimedSample {
	other := func(s TimedSample) bool { return s.Track != track }
	if !slices.ContainsFunc(samples, other) {
		return samples
	}
	return slices.DeleteFunc(slices.Clone(samples), other)
}

func (r run) appendTraf(b []byte, base time.Time, dataOffset int) []byte {
	trun := trunSize + len(r.samples)*trunEntrySize
	b = appendBox(b, 8+tfhdSize+tfdtSize+trun, "traf")
	b = appendBox(b, tfhdSize, "tfhd")
	b = binary.BigEndian.AppendUint32(b, tfhdFlags)
	b = binary.BigEndian.AppendUint32(b, uint32(r.track.ID))
	times := r.decodeTimes(base)
	b = appendBox(b, tfdtSize, "tfdt")
	b = binary.BigEndian.AppendUint32(b, 1<<24)
	b = binary.BigEndian.AppendUint64(b, uint64(times[0]))
	b = appendBox(b, trun, "trun")
	b = binary.BigEndian.AppendUint32(b, 1<<24|trunFlags)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.samples)))
	b = binary.BigEndian.AppendUint32(b, uint32(dataOffset))
	for i, s := range r.samples {
		flags := uint32(otherSample)
		if s.Key {
			flags = syncSample
		}
		b = binary.BigEndian.AppendUint32(b, uint32(min(times[i+1]-times[i], math.MaxUint32)))
		b = binary.BigEndian.AppendUint32(b, uint32(len(s.Payload)))
		b = binary.BigEndian.AppendUint32(b, flags)
		b = binary.BigEndian.AppendUint32(b, uint32(min(ticks(s.Offset, r.track.TimeScale), math.MaxInt32)))
	}
	return b
}

// decodeTimes returns the decode time of each sample and, last, the end of the
// last one, strictly increasing. Each is rounded from the capture time by
// itself, so that rounding does not add up.
func (r run) decodeTimes(base time.Time) []int64 {
	times := make([]int64, len(r.samples)+1)
	next := int64(0)
	for i, s := range r.samples {
		times[i] = max(ticks(s.At.Sub(base), r.track.TimeScale), next)
		next = times[i] + 1
	}
	last := r.samples[len(r.samples)-1]
	times[len(r.samples)] = max(ticks(last.End().Sub(base), r.track.TimeScale), next)
	return times
}

// ticks rounds d to the nearest unit of a time scale; negative ones are 0.
func ticks(d time.Duration, scale uint32) int64 {
	if d <= 0 {
		return 0
	}
	seconds, rest := int64(d/time.Second), int64(d%time.Second)
	return seconds*int64(scale) + (rest*int64(scale)+int64(time.Second/2))/int64(time.Second)
}

func appendPrivate(b []byte, runs []run, samples int) (_ []byte, crcAt int) {
	b = appendBox(b, privateSize+samples*entrySize, "uuid")
	b = append(b, fragmentUUID[:]...)
	b = binary.BigEndian.AppendUint32(b, boxVersion<<24)
	crcAt = len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	for _, r := range runs {
		for _, s := range r.samples {
			b = binary.BigEndian.AppendUint64(b, uint64(s.At.UnixNano()))
			b = binary.BigEndian.AppendUint64(b, uint64(s.Duration))
			b = append(b, s.Hash[:]...)
		}
	}
	return b, crcAt
}
