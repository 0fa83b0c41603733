// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestChecked(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*checkedPiece/16)
	content = content[:len(content)-5]
	broken := errors.New("broken")
	for name, how := range map[string]func(io.Reader) io.Reader{
		"as it comes": func(r io.Reader) io.Reader { return r },
		"end at once": iotest.DataErrReader,
		"by halves":   iotest.HalfReader,
		"with pauses": func(r io.Reader) io.Reader { return &pauses{from: r} },
		"by bytes":    iotest.OneByteReader,
	} {
		for _, size := range []int{0, 1, checkedPiece - 1, checkedPiece, checkedPiece + 1, len(content)} {
			want := content[:size]
			sum := sha256.Sum256(want)
			digest := Digest{Algorithm: "sha256", Sum: sum[:]}
			got, err := io.ReadAll(NewChecked(how(bytes.NewReader(want)), digest, nil))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes: %d, %v", name, size, len(got), err)
			}
			before := sha256.New()
			before.Write(want[:size/2])
			got, err = io.ReadAll(NewChecked(how(bytes.NewReader(want[size/2:])), digest, before))
			if err != nil || !bytes.Equal(got, want[size/2:]) {
				t.Errorf("%s, the second half of %d bytes: %d, %v", name, size, len(got), err)
			}
			wrong := bytes.Clone(want)
			if size > 0 {
				wrong[0] ^= 1
			} else {
				wrong = []byte("x")
			}
			got, err = io.ReadAll(NewChecked(how(bytes.NewReader(wrong)), digest, nil))
			if !errors.Is(err, ErrDigest) || len(got) >= max(size, 1) {
				t.Errorf("%s, %d wrong bytes: %d of them, %v", name, size, len(got), err)
			}
			got, err = io.ReadAll(NewChecked(io.MultiReader(how(bytes.NewReader(want)), iotest.ErrReader(broken)), digest, nil))
			if !errors.Is(err, broken) || size > 0 && len(got) >= size || len(got) < size-checkedPiece {
				t.Errorf("%s, broken after %d bytes: %d, %v", name, size, len(got), err)
			}
		}
	}
	if got, err := io.ReadAll(NewChecked(bytes.NewReader(content), Digest{Algorithm: "crc"}, nil)); !errors.Is(err, ErrDigest) || len(got) > 0 {
		t.Errorf("an unknown algorithm: %d bytes, %v", len(got), err)
	}
}

// pauses has a Read return nothing now and then, as io.Reader allows.
type pauses struct {
	from io.Reader
	odd  bool
}

func (p *pauses) Read(b []byte) (int, error) {
	if p.odd = !p.odd; p.odd {
		return 0, nil
	}
	return p.from.Read(b)
}
