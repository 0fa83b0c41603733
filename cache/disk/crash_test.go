// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ironic-edge/ironic-edge/cache"
)

var crashes = flag.Int("crashes", 30, "how often TestCrash kills a process")

// crashDir names, in the environment of a child of TestCrash, the directory of its store.
const crashDir = "DISK_CRASH_DIR"

// crashed is what is said of a key in TestCrash: of what its content is made.
type crashed struct {
	Size int
	Seed uint64
}

func (c crashed) content() []byte { return pattern(c.Size, c.Seed) }

func (c crashed) info() json.RawMessage {
	return fmt.Appendf(nil, `{"Size":%d,"Seed":%d}`, c.Size, c.Seed)
}

func parseCrashed(t *testing.T, info json.RawMessage) crashed {
	t.Helper()
	var c crashed
	if err := json.Unmarshal(info, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// throttled is an origin that sends some bytes at each tick, so that processes are killed in the middle of it.
type throttled struct {
	testOrigin
	tick *time.Ticker
}

func (o *throttled) Open(ctx context.Context, ask cache.Ask) (*cache.Part, error) {
	part, err := o.testOrigin.Open(ctx, ask)
	if err == nil {
		part.Body = throttledBody{part.Body.(*testBody), o.tick}
	}
	return part, err
}

type throttledBody struct {
	*testBody
	tick *time.Ticker
}

func (b throttledBody) Read(p []byte) (int, error) {
	select {
	case <-b.tick.C:
		return b.testBody.Read(p)
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

// live is the child: it fills, reads, renames, replaces and removes objects until it is killed, and says what it did.
func live(t *testing.T, dir string) {
	s := open(t, dir)
	origin := func(c crashed) *throttled {
		return &throttled{testOrigin{content: c.content(), tag: fmt.Sprintf(`"%d"`, c.Seed)}, time.NewTicker(20 * time.Microsecond)}
	}
	fmt.Println("open")
	for {
		key := fmt.Sprint("key", rand.IntN(6))
		o, info := s.Get(key)
		switch {
		case o == nil || rand.IntN(8) == 0:
			if o != nil {
				o.Release()
			}
			c := crashed{rand.IntN(40 * testBlock), rand.Uint64N(1 << 16)}
			from := origin(c)
			part, err := from.Open(s.ctx, cache.Ask{Length: 8 * testBlock})
			if err != nil {
				t.Fatal(err)
			}
			n := New{Key: key, Info: c.info(), Origin: from, Part: part, Identity: fmt.Sprint(c)}
			if rand.IntN(2) == 0 {
				n.Digest = sha(from.content)
			}
			fmt.Println("replace", key)
			if o, err = s.Create(n); err != nil {
				t.Fatal(err)
			}
			info = n.Info
			fmt.Println("key", key, o.id, 0)
		case rand.IntN(8) == 0:
			alias := fmt.Sprint("alias", rand.IntN(3))
			fmt.Println("replace", alias)
			s.SetKey(alias, info, o)
			fmt.Println("key", alias, o.id, o.Stored())
		case rand.IntN(16) == 0:
			fmt.Println("replace", key)
			s.RemoveKey(key)
			o.Release()
			continue
		}
		c := parseCrashed(t, info)
		s.Resume(o, origin(c))
		known := newVersions(c.content())
		if c.Size > 0 {
			readAt(t.Context(), t, o, known, rand.Int64N(int64(c.Size)), 3*testBlock)
		}
		if rand.IntN(3) > 0 { // otherwise the fill goes on without us
			wantContent(t, o, c.content()) // releases it
			if o, _ = s.Get(key); o == nil {
				continue
			}
			o.mu.Lock()
			for o.fill != nil {
				progress := o.progress
				o.mu.Unlock()
				<-progress
				o.mu.Lock()
			}
			whole := o.durable
			o.mu.Unlock()
			if whole {
				fmt.Println("durable", key, o.id, o.Size())
			}
		}
		fmt.Println("stored", key, o.id, o.Stored())
		o.Release()
		if t.Failed() {
			return
		}
	}
}

// said is the last that a child said of a key.
type said struct {
	durable bool
	id      string
	stored  int64
}

// hear runs a child until it is killed and notes what it says.
func hear(t *testing.T, dir string, keys map[string]said) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrash$")
	child.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var other []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 4 {
			var n int64
			if _, err := fmt.Sscan(words[3], &n); err != nil {
				continue // half a line
			}
			was := keys[words[1]]
			durable := words[0] == "durable" || was.durable && was.id == words[2]
			keys[words[1]] = said{durable, words[2], n}
			continue
		}
		switch {
		case len(words) == 1 && words[0] == "open":
			time.AfterFunc(rand.N(60*time.Millisecond), func() { _ = child.Process.Kill() }) // Wait says whether it was
		case len(words) == 2 && words[0] == "replace":
			delete(keys, words[1])
		default:
			other = append(other, lines.Text())
		}
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ends by itself: %v\n%s", err, strings.Join(other, "\n"))
	}
}

// TestCrash kills a process that uses a store, again and again, in the same directory. What was said to be on disk is
// there, what is half there is right as far as it goes, and nothing is claimed that is not true.
func TestCrash(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		live(t, dir)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	keys := make(map[string]said)
	wholes, parts := 0, 0
	for n := range *crashes {
		hear(t, dir, keys)
		sidecarsAreTrue(t, dir)
		s := open(t, dir)
		for key, was := range keys {
			o, info := s.Get(key)
			if o == nil || o.id != was.id {
				t.Fatalf("crash %d: %s is lost", n, key)
			}
			if was.durable {
				wholes++
			} else {
				parts++
			}
			c := parseCrashed(t, info)
			lookAt(t, s, o, c, was)
			if t.Failed() {
				t.Fatalf("crash %d: %s was %v, of %v", n, key, was, c)
			}
		}
		if n%4 == 3 { // otherwise the next child goes on with what is left
			for key := range s.Keys() {
				o, info := s.Get(key)
				goOn(t, s, o, parseCrashed(t, info))
			}
		}
		settle(s)
		consistent(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d whole and %d partial objects were there", wholes, parts)
}

// lookAt reads what is there of an object, without an origin, and releases the object.
func lookAt(t *testing.T, s *Store, o *Object, c crashed, was said) {
	t.Helper()
	defer o.Release()
	content := c.content()
	if was.durable && !o.Whole() {
		t.Error("an object that was made to last is not whole")
	}
	there := int64(0)
	for i := int64(0); i < int64(len(content)); i += testBlock {
		n, err := o.Await(t.Context(), i, testBlock)
		if err != nil {
			continue
		}
		p := make([]byte, n)
		if _, err := o.ReadAt(p, i); err != nil || !bytes.Equal(p, content[i:i+n]) {
			t.Errorf("wrong bytes at %d: %v", i, err)
		}
		there += n
	}
	if !o.Whole() {
		there = o.Stored() // with the last block, which may be withheld
	}
	if there < was.stored {
		t.Errorf("%d bytes are there, %d were", there, was.stored)
	}
	if bad := s.Stats().BadBlocks; bad > 0 {
		t.Errorf("%d blocks were bad: a checksum came before its bytes", bad)
	}
}

// goOn completes an object, for no more bytes than are missing.
func goOn(t *testing.T, s *Store, o *Object, c crashed) {
	t.Helper()
	missing := int64(c.Size) - o.Stored()
	origin := newOrigin(c.content())
	origin.tag = fmt.Sprintf(`"%d"`, c.Seed)
	s.Resume(o, origin)
	wantContent(t, o, c.content())
	if origin.sent > missing {
		t.Errorf("%d bytes came, %d were missing", origin.sent, missing)
	}
}

// sidecarsAreTrue reads the sidecars of a store that nobody has.
func sidecarsAreTrue(t *testing.T, dir string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	names, err := fs.Glob(root.FS(), "objects/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		id := strings.TrimSuffix(filepath.Base(name), ".json")
		side, err := readSidecar(root, id)
		if err != nil {
			t.Errorf("a sidecar is half written: %v", err)
			continue
		}
		for _, info := range side.Keys {
			want := parseCrashed(t, info).content()
			got, err := fs.ReadFile(root.FS(), dataPath(id))
			if side.Whole && (err != nil || !bytes.Equal(got, want)) {
				t.Errorf("a sidecar says that %d wrong bytes are whole: %v", len(got), err)
			}
		}
	}
}
