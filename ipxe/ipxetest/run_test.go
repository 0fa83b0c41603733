// SPDX-License-Identifier: Apache-2.0

package ipxetest

import (
	"strings"
	"testing"
)

// well answers everything with success; scripts are at the paths of files.
func well(files map[string]string) Network {
	return NetworkFunc(func(r Request) Response {
		if text, ok := files[r.URL]; ok {
			return Response{Status: 200, Body: []byte(text)}
		}
		return Response{Status: 200}
	})
}

func machine(n Network) Machine {
	return Machine{NICs: []string{"52:54:00:12:34:56", "52:54:00:12:34:57"}, Network: n, Base: "http://edge/boot.ipxe"}
}

// TestLanguage is about what a line means. Each script echoes what it finds; the facts are those seen on real iPXE.
func TestLanguage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ script, want string }{
		"no quoting":                {`echo "a && echo INJ"`, `echo "a|echo INJ"|exit`},
		"blanks collapse":           {"echo a  \t b", "echo a b|exit"},
		"operator or":               {"isset || echo no\nisset x || echo never\necho end", "echo no|echo end|exit"},
		"operator and":              {"isset x && echo yes", "echo yes|exit"},
		"operator next":             {"isset ; echo both", "echo both|exit"},
		"or with nothing":           {"iseq a b && echo same ||\necho on", "echo on|exit"},
		"operators inside words":    {"echo a||b a;b a&&b a#b", "echo a||b a;b a&&b a#b|exit"},
		"comment":                   {"echo a #b c\n# d", "echo a|exit"},
		"comment after or":          {"isset || # nothing\necho on", "echo on|exit"},
		"carriage returns":          {"echo a\r\necho b\r", "echo a|echo b|exit"},
		"carriage return inside":    {"echo a\rb", "echo a b|exit"},
		"continuation":              {"echo a\\\nb", "echo ab|exit"},
		"continuation of a comment": {"# a\\\necho b\necho c", "echo c|exit"},
		"NUL":                       {"echo a\x00b\necho c", "echo a|echo c|exit"},
		"label with a command":      {"goto x\n:x echo here", "echo here|exit"},
		"label is the whole word":   {"goto x\n:xy echo no\n:x\necho yes", "echo yes|exit"},
		"goto leaves the line":      {"goto x || echo no\necho no\n:x", "exit"},
		"goto nowhere":              {"goto x\necho no", "error"},
		"failure ends":              {"isset\necho no", "error"},
		"unknown command":           {"frobnicate\necho no", "error"},
		"unknown command or":        {"frobnicate || echo yes", "echo yes|exit"},
		"expansion":                 {"set a 1\necho ${a}${b}2", "echo 12|exit"},
		"expansion again":           {"set d $\necho ${d}{net0/mac}", "echo 52:54:00:12:34:56|exit"},
		"expansion inside":          {"set netid:int32 1\necho ${net${netid}/mac}", "echo 52:54:00:12:34:57|exit"},
		"empty words stay":          {"echo a ${sep} b", "echo a  b|exit"},
		"empty arguments stay":      {"iseq ${a} ${b} && echo equal", "echo equal|exit"},
		"literal dollar":            {"echo a$b ${c", "echo a$b ${c|exit"},
		"hyphens":                   {"echo ${mac:hexhyp} ${mac:hexraw}", "echo 52-54-00-12-34-56 525400123456|exit"},
		"counting":                  {"set i:int32 -1\ninc i\necho ${i}\ninc i 5\necho ${i}", "echo 0|echo 5|exit"},
		"counting from nothing":     {"inc i\necho ${i}", "echo 1|exit"},
		"option first":              {"sleep --x 1", "error"},
		"option later":              {"echo a -n", "echo a -n|exit"},
		"too many arguments":        {"iseq a b c || echo usage", "echo usage|exit"},
		"exit":                      {"exit 0\necho no", "exit"},
		"exit badly":                {"exit 1\necho no", "error"},
		"prompt times out":          {"prompt --timeout 180\nreboot", "prompt 180|error"},
		"no final line feed":        {"echo a", "echo a|exit"},
		"loop":                      {":x\ngoto x", "loop too many commands"},
		"setting of itself":         {"set a ${b}\nset c:string x\necho ok", "echo ok|exit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Run([]byte("#!ipxe\n"+tt.script), machine(well(nil))).String()
			if want := strings.ReplaceAll(tt.want, "|", "\n") + "\n"; strings.ReplaceAll(got, "a||b", "a\n\nb") != want {
				t.Errorf("%q does\n%swant\n%s", tt.script, got, want)
			}
		})
	}
}

func TestFetching(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"http://edge/sub/script": "#!ipxe\nimgfetch other\nexit 0\n",
		"http://edge/bad":        "#!ipxe\nisset\n",
		"http://edge/again":      "#!ipxe\necho in\n",
	}
	for name, tt := range map[string]struct{ script, want string }{
		"kernel and ramdisk": {
			"kernel --timeout 3000 k a b=${mac} initrd=r\ninitrd r\nboot",
			"GET http://edge/k ok timeout=3000|GET http://edge/r ok|boot http://edge/k a b=52:54:00:12:34:56 initrd=r [r=http://edge/r]",
		},
		"boot of nothing":             {"imgfree\nboot", "exit"},
		"relative to the file":        {"chain sub/script\nimgfetch x", "GET http://edge/sub/script ok|GET http://edge/sub/other ok|GET http://edge/x ok|exit"},
		"chain of a failure":          {"chain bad || echo failed", "GET http://edge/bad ok|echo failed|exit"},
		"exit leaves one":             {"chain sub/script\necho after", "GET http://edge/sub/script ok|GET http://edge/sub/other ok|echo after|exit"},
		"chain and no way back":       {"chain --replace again\necho never", "GET http://edge/again ok|echo in|exit"},
		"chain of a kernel":           {"chain k x", "GET http://edge/k ok|boot http://edge/k x"},
		"chained script, then kernel": {"chain again\nkernel k\nimgfree again\nboot", "GET http://edge/again ok|echo in|GET http://edge/k ok|boot http://edge/k"},
		"name":                        {"initrd --name x r\nkernel k\nboot", "GET http://edge/r ok|GET http://edge/k ok|boot http://edge/k [x=http://edge/r]"},
		"local disk":                  {"sanboot --no-describe || exit 0", "DISK 0x80 ok drive=0x80|sanboot 0x80 no-describe"},
		"ISO":                         {"sanboot http://edge/iso", "HEAD http://edge/iso ok drive=0x80|DISK 0x80 ok drive=0x80|sanboot 0x80 http://edge/iso"},
		"volumes": {
			"set username u\nset password p\nset initiator-iqn i\nsanhook --drive 0x80 iscsi:a iscsi:b\nclear password\nset username\nsanhook --drive 0x81 iscsi:c\nsanboot --no-describe",
			"ATTACH iscsi:a ok drive=0x80 username=u password=p initiator-iqn=i|ATTACH iscsi:b ok drive=0x80 username=u password=p initiator-iqn=i|" +
				"ATTACH iscsi:c ok drive=0x81 initiator-iqn=i|DISK 0x80 ok drive=0x80 initiator-iqn=i|sanboot 0x80 no-describe",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Run([]byte("#!ipxe\n"+tt.script), machine(well(files))).String()
			if want := strings.ReplaceAll(tt.want, "|", "\n") + "\n"; got != want {
				t.Errorf("%q does\n%swant\n%s", tt.script, got, want)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer Response
		want   string
	}{
		"not found":         {Response{Status: 404}, "GET http://edge/f 404|echo failed|exit"},
		"busy":              {Response{Status: 503, RetryAfter: "7"}, "GET http://edge/f 503|wait 7|GET http://edge/f ok|exit"},
		"busy until a date": {Response{Status: 503, RetryAfter: "Wed, 21 Oct 2015 07:28:00 GMT"}, "GET http://edge/f 503|wait 5|GET http://edge/f ok|exit"},
		"not found yet":     {Response{Status: 404, RetryAfter: "1"}, "GET http://edge/f 404|wait 1|GET http://edge/f ok|exit"},
		"moved":             {Response{Status: 302, Location: "/g"}, "GET http://edge/f 302|GET http://edge/g ok|exit"},
		"no answer":         {Response{}, "GET http://edge/f failed|echo failed|exit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network := NetworkFunc(func(r Request) Response {
				if r.URL == "http://edge/f" && r.Attempt == 1 {
					return tt.answer
				}
				return Response{Status: 200}
			})
			got := Run([]byte("#!ipxe\nimgfetch f || echo failed"), machine(network)).String()
			if want := strings.ReplaceAll(tt.want, "|", "\n") + "\n"; got != want {
				t.Errorf("does\n%swant\n%s", got, want)
			}
		})
	}
}

func TestCases(t *testing.T) {
	t.Parallel()
	const want = `# all goes well
GET http://edge/k ok
boot http://edge/k ipa-global-request-id=*

# GET http://edge/k fails once
GET http://edge/k failed
GET http://edge/fallback ok
exit

# GET http://edge/k fails for ever
GET http://edge/k failed
GET http://edge/fallback ok
exit

# GET http://edge/fallback fails once
GET http://edge/k ok
boot http://edge/k ipa-global-request-id=*

# GET http://edge/fallback fails for ever
GET http://edge/k ok
boot http://edge/k ipa-global-request-id=*
`
	got := Format(Cases([]byte("#!ipxe\nkernel k ipa-global-request-id=req-1 || goto no\nboot\n:no\nimgfetch fallback\n"), machine(well(nil))))
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// FuzzRun wants every script to come to an end.
func FuzzRun(f *testing.F) {
	for _, s := range []string{"echo ${a${b}}", ":x\ngoto x", "set a:string ${a}x", "chain a || goto ${x}", "sanboot --drive 0x", "inc i:uint8 -1", "\\", "#\\\n\\", "isset ; || && #"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := machine(NetworkFunc(func(r Request) Response {
			if strings.Contains(r.URL, "a") {
				return Response{Status: 200, Body: []byte("#!ipxe\n" + s)}
			}
			return Response{Status: 404}
		}))
		m.MaxSteps = 200
		trace := Run([]byte("#!ipxe\n"+s), m)
		switch trace.End().Kind {
		case "exit", "error", "boot", "sanboot", "reboot", "poweroff", "shell", "loop":
		default:
			t.Errorf("%q ends with %q", s, trace.End())
		}
	})
}
