package kerberos

import (
	"encoding/asn1"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/adtype"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/types"

	"understudy"
)

// part is a buffer of a PAC.
type part struct {
	kind uint32
	text []byte
}

func pacOf(parts ...part) []byte {
	text := binary.LittleEndian.AppendUint32(nil, uint32(len(parts)))
	text = binary.LittleEndian.AppendUint32(text, 0)
	at := uint64(8 + 16*len(parts))
	for _, p := range parts {
		text = binary.LittleEndian.AppendUint32(text, p.kind)
		text = binary.LittleEndian.AppendUint32(text, uint32(len(p.text)))
		text = binary.LittleEndian.AppendUint64(text, at)
		at += uint64(len(p.text))
	}
	for _, p := range parts {
		text = append(text, p.text...)
	}
	return text
}

// blankSignature is one of AES-256, to be filled in.
func blankSignature() []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(chksumtype.HMAC_SHA1_96_AES256)), make([]byte, 12)...)
}

func sign(t *testing.T, text []byte, key types.EncryptionKey) []byte {
	t.Helper()
	method, err := crypto.GetEtype(key.KeyType)
	check(t, err)
	sum, err := method.GetChecksumHash(key.KeyValue, text, keyusage.KERB_NON_KERB_CKSUM_SALT)
	check(t, err)
	text = slices.Clone(text)
	buffers, ok := buffersOf(text)
	if !ok {
		t.Fatal("what is signed must be a PAC")
	}
	copy(buffers[serverSignature][4:], sum)
	return text
}

// TestGroupsOfOnesOwnMaking: a client may have data put into its ticket. Nothing
// of it counts that is not signed with the service's key, and none is believed
// about how much room it needs.
func TestGroupsOfOnesOwnMaking(t *testing.T) {
	key := types.EncryptionKey{KeyType: etypeID.AES256_CTS_HMAC_SHA1_96, KeyValue: slices.Repeat([]byte{7}, 32)}
	other := types.EncryptionKey{KeyType: key.KeyType, KeyValue: slices.Repeat([]byte{8}, 32)}
	info := part{logonInfo, slices.Repeat([]byte{0xff}, 400)}
	whole := pacOf(info, part{serverSignature, blankSignature()}, part{kdcSignature, blankSignature()})
	huge := slices.Clone(whole)
	binary.LittleEndian.PutUint32(huge, 0xffffffff)
	outside := slices.Clone(whole)
	binary.LittleEndian.PutUint64(outside[16:], 1<<63)
	for name, c := range map[string]struct {
		text  []byte
		words string
	}{
		"no signature":          {pacOf(info), "signature"},
		"a blank signature":     {whole, "signature"},
		"another's signature":   {sign(t, whole, other), "signature"},
		"two of a kind":         {pacOf(info, info), "damaged"},
		"four billion buffers":  {huge, "damaged"},
		"a buffer that is away": {outside, "damaged"},
		"nothing":               {nil, "damaged"},
		"signed, and no groups": {sign(t, whole, key), "cannot be read"},
	} {
		inner, err := asn1.Marshal(types.AuthorizationData{{ADType: adtype.ADWin2KPAC, ADData: c.text}})
		check(t, err)
		got, err := readPAC(types.AuthorizationData{{ADType: adtype.ADIfRelevant, ADData: inner}}, key)
		if understudy.CodeOf(err) != understudy.CodeUnauthenticated || err == nil || !strings.Contains(err.Error(), c.words) || got.sids != nil {
			t.Errorf("%s: must be refused with %q, got %v, %v", name, c.words, got, err)
		}
	}
	if got, err := verified(pacOf(part{serverSignature, blankSignature()}), key); err != nil || got.sids != nil {
		t.Errorf("a PAC without groups gives none, but %v, %v", got, err)
	}
}

func FuzzBuffers(f *testing.F) {
	f.Add(pacOf(part{logonInfo, []byte("x")}, part{serverSignature, blankSignature()}))
	f.Fuzz(func(t *testing.T, text []byte) {
		buffers, ok := buffersOf(text)
		if !ok {
			return
		}
		for kind, b := range buffers {
			if len(b) > len(text) {
				t.Fatalf("buffer %d is larger than the whole", kind)
			}
		}
		signed(text, buffers, types.EncryptionKey{KeyType: etypeID.AES256_CTS_HMAC_SHA1_96, KeyValue: make([]byte, 32)})
	})
}
