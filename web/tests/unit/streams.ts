/**
 * Streams of other encoders, in base64, and the SHA-256 of what they decode to.
 *
 * `webp`: Pillow's save(..., "WEBP", lossless=True, exact=True, method, quality), less the first 25 bytes; of red, green,
 * blue and alpha. Between them they use all transforms, ways to foretell pixels, sizes of palettes and kinds of codes.
 *
 * `lzma2`: Python's lzma.compress(..., lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, ...}]).
 */

export interface WebpStream {
  name: string;
  width: number;
  height: number;
  sha256: string;
  stream: string;
}

export const webp: WebpStream[] = [
  {
    name: "pal1 without alpha, method 0, quality 0",
    width: 13,
    height: 9,
    sha256: "2779813f59931f81e46b342a172c84b68ecd1adaf9ba03bf8d9329eb0c3da2b9",
    stream: "B1DSPvWh/4GI6H8A",
  },
  {
    name: "pal2 without alpha, method 6, quality 100",
    width: 13,
    height: 9,
    sha256: "6ae63f3b4d86b2355397314e2d7ab3af5f94879acde19c38866880a4a8da3d71",
    stream: "BgZtG0nCtcyX33vHwHlX2tUw+z8B45qQ0CF3/YUKlUObtKKgsgk=",
  },
  {
    name: "pal4 with alpha, method 6, quality 100",
    width: 13,
    height: 9,
    sha256: "301bdda153d4c3d2d38ec28edf6078a1fef6bedc38977bd8647becfd0a129b4c",
    stream: "EjeNJEkSneW7dO+s/TCUMtMXCBAhupQbkCIQIJoMKFalRExDbPrfmgmiQfzH+hHq0XNqrDvArlnAbuWN1VLvU4FtlV+JDq4U2HYB",
  },
  {
    name: "pal5 without alpha, method 0, quality 0",
    width: 13,
    height: 9,
    sha256: "12d4d4e6bcfe269a42fee6070c88a1a887914301cbcf0fd15a99aac9b56ac157",
    stream:
      "J0CYbaQ32insd0BHoyYAATZn9PDSBGG2EeK+k5jOwRzd/AelvpJd30BBI0nNPSDgiwIeA9VA828LJET0P2SOvA9WG74v5A8so3h8JLBU8wQ=",
  },
  {
    name: "pal5 with alpha, method 6, quality 100",
    width: 13,
    height: 9,
    sha256: "57ce5c0c2bfc7543dd30629a976546eda7a7283aa89bbda9f364e49e9987fd9e",
    stream:
      "DkZtJDkCtQQuMj4qB2gzha5+tAiybSTGOaYRneAwBJI2ecaqLsNflUzaNgkV0buq5mIK27ZtmN1+ctTh20hevqSo0n8CXAHd1LKRkVbNXn4uRbE1oBqaNDYB",
  },
  {
    name: "pal16 with alpha, method 6, quality 100",
    width: 13,
    height: 9,
    sha256: "7138f6625796d076deb48dc958e4db1f52bc4166024c95c7e9cdd2a3b2c2b217",
    stream:
      "tTCKbbsJvZtBACswwhpZyAy7FA3/T5qDP0lohtpGyVm5nIFTgDOQAurAAy8lAYA2imvpgycFHUhDsclV+AUUxbZBpRBFjr+lUDLZqyCHsQmmGQDdFGq9aH0I1ync915eG/8Baq2ryBRBCKrJdyn8vwha6xACPzHM+7ljjFnTCJGIfoFtNyLS8cCCMwYtEhF47430/A==",
  },
  {
    name: "pal200 without alpha, method 0, quality 0",
    width: 13,
    height: 9,
    sha256: "fb0140c85f800f1f51cc188b94b7366e9c2a0688e0af3fd122a66dae7fc96fe8",
    stream:
      "h6Amsp1oYidGEsDJfVtJjwOMYIQOenwoaCNJzR3fM7+SUxPJVqPlt99CwgB+0JANIAAbqaPHAD0GqOY/Tl+xkxpgRCMZ3e/IOn61TP/AjafXysVu20TPYpXkodFBQRtJyv3uPaN/t/wWIvqvMGkDpruvpJRaa6oqIuNGlDzxi37FPN8APMlaXQihACBNrTWEYAGYV3js43YU",
  },
  {
    name: "smooth with alpha, method 6, quality 100",
    width: 13,
    height: 9,
    sha256: "b900bc4d75bd073fd61c9ba937272dcd547fa681c61d1828ed419796165e5e5d",
    stream:
      "iRccRPQ/dBEx+P0PBYK2bZNk5w/5peGwbSNHcprxX//dfhoDadu0vX/LH4GkjXv/zo/qese6fwgsZcdCWJbExzWmrwEGeJ4tYMTVWBLpys1jEjUKEMKHF4ryOSA0Fi1rB9phzzTCM3SJabAxodqEZmvq13LhkniShj8SlSfQRdBxdj+YvJkG1brLKGHPRZAK0D2ZebFUxvTQGVHpKOFoKo4swVIGjH+vkrPRnfVYNIOd2Uv6sKRs4a+FgaisecXSAg==",
  },
  {
    name: "shapes without alpha, method 0, quality 0",
    width: 40,
    height: 30,
    sha256: "4a880a19d0e9228105d22264ba7a4acb3d12c5b1a3dfe3a63959afa5f016c9b5",
    stream:
      "HyCQTSK5/yIWyCaR3H9RCmSTSO6/KOc/qvADMGobSVLt7K+XSaNsKDu/UTXMqj0RRPSfaNomsm47YwPg/cnMi2qGW006NjmkJOSUlCV8QrO/Ve74z9cdr5Y//VISAhlmNQlTzXCYCecd",
  },
  {
    name: "photo without alpha, method 6, quality 100",
    width: 24,
    height: 20,
    sha256: "0d822c47c447d5c958d93da7e78e337451d8a69b917eb9ef5c084859522e1b07",
    stream:
      "DShs27ZBklZK1/8H94mI/kdGt8I5+gBvRIT3fQehtpGkZh/vORER0n+NBGrbNnK4/5T3/32OZf8DAtDZI4hAQAFxP/CmqOsOR6koPhSlQnIAt3EkoUCp93rtayPY/LO7uk0gDUhu2wiSJKd6dv//1j3tdMUSJElypCgiqxcN92I0PPn0TGfE77/foZ1UdUlN3VhaDC0tFlokksRVS7cF0UZRgSCipTWwgKWlLQolhI6EGIFFUKwBDQKoaCAAjWpUSysUIBo7KChRq4KQiDVlik0VaV2tAFLVKqpjR9V5kSqwoVHteull55jXSKBFgiUCCCoYSNVFquILVQQB0HvmQF+yAGtw2//pAnzgRYtKTDQUNEtocCD1Wdfvox5ACSKJlAXw4mqQGAaGgdQIBkRM7vP+07k/oFihrVToywMSQRFEABA0GIo2R3/s9688mdzvzmSC01QVSkUgkVbRgRqzYYMU6Lm3X/nRX4fUmFVWd5URrYaNWkaKgwPAIMYVNHPxZf+ACCdstECcV6W44Z+cEQB9FcAwaAc0mDD5dHg1M2zqwBpNm+33/y1Djrnmpm666zRoxlOno++K7gfyU9E9kykc3O620x3IyRAZ7fmsfVn7qkSc4kBgF58aDHtA5lqqlc2AUHTkA7vM+vTQypij9ekl3sGfh/hGw8rAgMpUVfC1NHQI6tLXBjlmz37Mvr4f+kXL/1Nf9ZA6MNnGKdbUgxOYPlhI+cRzXufZSNPcxnlL3tO5eDIX/nGPI4oTToXLZIdi31G43fn50OdLfJSP8rbth8GVZfAUEJk6yzweKDA9R+25GqY9oqqUQseUxQ/DvfZFQHrBANxqNU7PfuycImXeHqpag4GubPO+vnm2ywxw2hEd78V6WtgEpz0qbn04In3sIcuWzNv2rX0G",
  },
  {
    name: "photo without alpha, method 6, quality 100",
    width: 40,
    height: 30,
    sha256: "3d8bd7ef14f63fb593fdaffa2334829498171e04b59b932b268aed324fabfdf9",
    stream:
      "AYZt20ZC0jq+x9p/4HaIiP5PwFd72yupGaj3fZOLIpEp5gORFDYSjnXFdnE9KsfAcSNJipyN1zLz7lEZcG4jSVKkPGZ8mnhppPffPBTcRpKkSHk8cRKDOP5bduIzKv0P2OkhXCLBrttFTjtc2MmcxDf+i/+yPyqXyQVXLHlv9loOw24bcRITD1dt6oN4rkN2/iYHnz8bmxz6vGbFdUjICBvY6EKk2USeMqrExga2cM1kL+kNvWpVrQBAgmRl5gUUA7htJEkFUOqZ9/4z+PyTszvdAtLwLUmSJUmSbRGzqJl5XKpvb/3/H+nhZqLClBxJciRJquaRVbXsTk/7/9cN3apEhEX89f9/M7u2wCabbE5o2pg5TRuadopARJ5o02kBWkvPLr53f2b9evz559d/1/Xvd79/fP9ir9d1Pb5duTLf/O339Zl/ASVFhjJ0yPTsokMgzbShFFEjNQSwAIpVRNSo8ayr/uiL+Msc7+b5HNz1//Tmj+u98y/0v71e206nLkszzVQigaK7hAwAgjI6GBxSUkk5sAafaopbORVeM+/Z877X18fsB57z+Tpd0fXxdffn//FAsJgOZ1oq2UjbWGxR0+ARidFECUPHbbb5u37+q6//+/N8Pn2v5z8/5R+T0TOQL8HY6+Z1m6/y1yzSRoR2ipAqpSAAJVUKHZEBsKRkPIqJcfjYu/5g7Xe9X3b9cP3LdadpF3dLJPscw/X/gjYZBIeKY3aipA8GhBNtsaRFsQLAqkxB5XNMxfb5/uOLtY+8zbvONznHOS+UNh61/U4X9pIuhIAkIjrNNGpjK1kqRVaaYmSDwZ4hs1jyxev95XfwVr7N2uvhY/bJ0c77WSs7esPF9X7kvpAiClgiAbeaqoIAAbkgBAQKwamZZHouXq/+/fWF/nX6vx9jdTyxjk8qQZTQvno0det+uGZBwUvbpARFmSKABCVGIAiFMo2jXnN9m9++vX6/9f8XrlS3r1fm5VikFFnG85l+nXL7ySJzLGNY5epMCbSC1HJw1Ap7BAYw2JgwxSW+V10rL6yr750pl1xyAjRgg+nT2XJ9X2FBVCErj2JscaWObogFYdkFlXLAKBkKq1jLpeX55b527w326iiDs3GrgT5tBtGOVyx3XGsONGM4KtV6+9mXXLott5kiUTOjOZybY4bMTJRoxWn3fA0SZD5a9FUlSOCxH5V5KJQsERxClxVzjIzVyydjvMZBGTRsIKxaKe2ruNPB4XnN4LXdflNmNM8yb6c9SWVjIjwM3STYolUdl9ugWlnKGBA6ZRjDtZbZCqc8FmIGY9cq5XRsciz3zD4LOpNNkkLiONBHETpGsI/lAsEWI4WXqaydmmXZrLUCXYUMyNWwu6TOkod71k1v1lwthoZmt1tPjEqUmnHAKgK7usxl9jLbZWepEtSSRQRLXa0Ju245hZuSR3Zy46lfzl+ufqkusUq9BR8jj/Hc9bqketq7ne3lcVSsjHiMG7ptzHgccsg5ZJopnvRGsbJ37rV2r8/kg3YrVdXCx9HgNYQ054mOpB11Vquprm4mUFmkoOpa8XYYmBWSMCo0tkg4eMfThvvKfmv0xB0qo7rSIyqpdLfWcFrNk31qWGdVCkF3LU0m7QnVyZg5KpExY4ZONKT5cEefK/ern69j5PQKK1sdrZzDikqOPPJEt65FhGNOQpwlT1hRVMauNDaNgoQua9OeEPekzUHn4lz1fF+uyv6FK/1lfnShIzpW2e6tZx6hu5uZyeiCUBwxvsWZqlepWpEMrHQ8krJyBEHJme50dvea+Zq+Zhfran7ZlSmVrka9JR+upG2vzWseZfCNTbRjhUqvtgwxCqBO2uhObzuVxZIz0qe+4OU5X/kOR/fXvQopcrWbvoJBZ+ZYiLLkBzrep/KzoxqRjqSxFRMaT2ym7ZAgJkZ+pEYvdBY5o+C+hnNaEUBrwjr3PsktUMTLyWiQRAC3VMgcODQdqn45VVzDCLjlUVlJI8vhc6V43Gy+vHLssOnn6dzkFofU78/YXq6HlusUTfGuyk75DEbNaeUZE++7DAFBdw7DJDkoi2WvpYsjvWY+r+tOjYus85R3eNynm7d5IrSCrYIetV4AcDLTLMjTN/G5bdBezTnlYbW1SXZmWWGIL3Ltmly4h8/cZ5Jm7zNbk/zxbO+PTTWRFixWiJoo0aC9knMmGdzMLbb7erhUmrBDUjx3ZtedrjpXe3S91WatJ9FfG2/10V1Iu94oi4kSBhmGbpTRhl3v0Kkc6cgYlvXqXlORQ2ay9qzzBKk57J4Hnqvk6ZH2452DnGgakufCZi8rCY2D7E4yanOoJS+z7NjPMH2aZ8iBCN0jT5weqBqq5GSf5nno3noU8E2vbfQJYa9dZWyCfTWpjhQph12PtdjX7tdixa849B45MUqjz3RXkWJVgFEUrM88QHVyf5mDufQRskYxQQI=",
  },
  {
    name: "wave without alpha, method 6, quality 100",
    width: 40,
    height: 30,
    sha256: "5e097761b3e507d79b3f465ab9a824a2fb36aa3b48dbace29abe37b4a7b593dc",
    stream:
      "AYFAItD+0gNE9D9zGxhmI6kE+15/xKPYMyDStk0VDl3BB6T/CQA4IMbhQQABQ8ECAoK2bePwp73thxARE2CupraWni18AIltJDmSxFzx2n9P3jK9u3cT+HknIDaSpEjK/OMHm99n5koJkSQ5kpSj7vXvU3v+WCY8CCZpWG27RUIkSY4keeQ+f65a/5fZ7IOQ3EaSJEm0aP2l7dnzkQ65bSRJkhjlv6+z13czFLZtgxQHn3x//n97ui5P1/Xp2uPt8fHwdP8ct+f98rxfvt5OX6/j8zo8T76ePM/dj7/78Xf//b4f33t8enx6vPd827+8XvrzfX++/n79+/r3nR9+6Xf92evvXv/24X/f+NyO1/143w4XrVAEEG8USr4HHSxE0YHYgdjhYrU8TgcOOQPLkGVf+NwP9/1w3Y+3AlAoCqjKohIddiQXDqulOGIpjxP+BUwYMo3VPvG5H67b4b4driVSUCEVsiqggyCd1Z1YyOURu1ziIo80ewUf+ScLqKUSpKJ6ESqHoRAyOt9dpyt1wUXkWnlm1LvzWUxZFCgVCVJHMYgSiiWWS3QXXao7ctFE00Sr2a58DGwq2ULNUK8KQ7xwwrBE3JVyORd1p1xql6InzG380YzaVolBFhKEJKJR4BjHJZdLdOK8U7umanqIP8ZI2VhKRE5gBGkCnYvr0j3hEuc9dPQOB+/8MlqzMUVW1SKrMAANA6n6d6kul5I+ucqlj0vtjnKD9uJHm9kUo1naIgouIRkmmuqkrutR11XH1fnviYvbg++msdnKlmZkGRNYLoJhblJ1XVV3pcvV8anjkq47Infk9JenZmtrbdPMop20y9E6qivrqkepqrrKXR3luJQ4V/jN3bQZHWI7WcPapZRrrVa5rnWduqgrVeXa5XKUy7kiuesnh61Ns7XJNhxmbK2VctMqpa6pWnVNVS710aUqn7pI3XFdHT/Qpp3YgW3GYVubaKS0mlbVrlW1lUblbuVyVcp1V93p6rrPdts9t3lnrF7GpNRspbFK1YtVqXulu866auWqunQupcvlKPfJ7rmx7i3dC02raVKMNKalbqyW1fPcpep26SqdUoly4aO7zdxD92SWaSI1o1limcarxq5q7C5V67redsdRCrFP/m9uw42x2iiatogxnm0p6zbVrqmqVjlVp6vj7g5SyD75O6wbA3O0ZWbUNvF2TLNdU1o909wFNAU25KFy6ZMfcxwGrA0YrKmNbaM0r4yqedWgat2FDTQAAUQUi33x80+HTdmAjGUxaytZzMaUTVNU03YFhgEmQNHYwfDGvvgCLrcJyxC8LEp7Y2SlbYqRtlLVbhgbQEZnQQjffF0OCIP2NKu1ZSXbzFJsq5qUWu3GBhmQIAQVqr77QC7aUUONaXm2tWAzNNlIPSltWWkRWOSkGgW8v3xdLgJNE6ZlJTsr21hEm0nR6qHtrOVUVkWhyITfvq7c4m7vIROmrdmQtSE1tlbD9UK72mYR9b9VhP76cqM7Rbsb6xz1tDjyGEWbDS1jrWk2syZGlmqplCDrfIuj3SniMDcNmk3CdhaWMVZjs4kOZTsxakuL9AI=",
  },
];

export interface Lzma2Stream {
  name: string;
  length: number;
  /** null: to be refused. */
  sha256: string | null;
  stream: string;
}

export const lzma2: Lzma2Stream[] = [
  {
    name: "nothing",
    length: 0,
    sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    stream: "AA==",
  },
  {
    name: "a letter",
    length: 1,
    sha256: "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    stream: "AQAAYQA=",
  },
  {
    name: "repeated",
    length: 3000,
    sha256: "328de8f1895f8bb09f6e6b4c2012ef2b2a6f067cd002794b750aa040a6f6d8bd",
    stream: "4Au3ABhdADCYiK1LNxKjMYXd+lME7evfQrgSwztZ2AA=",
  },
  {
    name: "text",
    length: 2500,
    sha256: "23fefc53631a2f753d145d864ded47826b531ca4a462aa94b32805b029b77cde",
    stream:
      "4AnDBSFdABGIBwfhoPZHSZl7mP8YJ4RWFZJpnyhXOez39Mbibyf6d2hvddC9FW83bwBYqFHn+hBH2trCLtReciHsWq8j5Y5gbCLHbwZ1ILBHWzmGyE+0QiBeGGiRdjTlvmfGDPu4/YQCusegS1CQ3GMCS7wy1eUbf7Owu6QLSrKh6yTqo7wi8+NinMsdpQH6Xom4Z2b5Tb2UQPUEeoUbHQ5V3boXkcoJjhnX/KZW6hIIyxH26QIDsp54CB52nWDQ9+kxz+TS/L3XQkMHOJ4ZI28OQgoQWtsJSY0lzbveWpS+NLpKcTnm8o3maN4Kmuhpts4UDaFM59LCSrP+RmOFeWDR8Wq/pPw2SGpa/oQIgykS3nHvb51Ddwtq3MUVDTkx4uV0HWizltQVxYFfHnlcTF4FuWiz4Ym44bgZu+wGtULk9ycM4nlRrtRDuBGDs5sZqQR8TRKeExFHcb0wIUQ7fryPdbeT8RMPcC0rQjRiM8kYw7hmvZMVTxKtgNiJ8JbtXe0qcDzBomLb3GLtoY5Q1Q5QlSWROu9vWCpzr9ibRu9/xZzYy+/+MYukV3J7WHr0di7gNupNI6yuyTmwLLjRznCcMFtTDI7bXxZPmfBjsgnTJ+WTl4onJUBrXVwx3akyCo07Bkc3pvIkEUNWSDOk0LTgjLOjGkOFESCvLRuaJ6p6lwZuP5UWlnetOj/4VaN8nJuKXrV/OBJkwxyymlx9mi7DrlVdg0hitLME2M+jAlGPvtWBXoViNgbEJumHxXcOq86nEMViwcKAMsrZuvc0qBPd46sWAYiq7nAVBWIHvVpWPH+VmTWoyGQKCxU/i/GlPX/COZdB/6dFCc4fk7tPMVt3MIKV1uSXFtQpBihctQO+S4GypuoZNR6hSpKnGJZURTSaECzKSG6QDn4gx5Znbcnc968eWjzb3jSXS8p0JH2nCQkbHK3a2iUt4wmtUHs298XkhCsXU3tU5w2L5WLyxmW4DN8fyzMc0WcRFunZqkLy9d4rrVUTvu/jSZfrVr6aUSPsRSRT2ghoGHgxtvbdBjDzUHMyXHq/JtGhtEKy0NjRYaN+VDmIjLLD6oS2wDVwCJc7erjMAhis9ycUF/nsQb/94lsXmd+qWFTtixqBqCgYMnukGgyybkOJb2cLMPqBvvl7m3JMuJGLwqeE46FHDOxsBJV0rM2Rj1A8VTHTQ74LzYzdJws92gFyZmAG8EJqaG1RKkmUn89scCgsHotp8og5zR9awXWBibBiYY7/qNYeKZW8/uJI98B/HlWlCk+F15jt1GnrTMCxQuVIN1+6LivBEPsWP80h1/F2W0tYxMXNW+83nL3ZYYMLqQtU8cY+szCBxyhN5ERAcbg8b0jSuxwiStgteXG+3LdX8jcwnHcEeok9eyiErKR6j6ov65YFi63u7r+RFC+BqqW20kD3QUC6dkftL4p9DjCSDCR5ULVH4S6RicEKxUHCMgbWqVPQLX+/tct6g8w0VU1/23dunwlV80bwUdooRY2Gf40+HNn4uZVEkCZG/H78mpEknQYVxipVksVY6oJMWdTyPXgt0OEMSgawn/BlMQK6UTJbuhPPbYxcYw8oxr1LyqJUuQUF/OJ6+UtoJ55MkdLYH1WRWIMOUW65A0qctlJg9Mk7wHH1zSgmX1Yb3ARtdgFCvBbiTs1hdYGphGpH3BNv0M1skA1QwrzpK3opaYg8og+qhghJpgGMwF8/dk8zQ/3+LJed33r/hGG44UYZCoxc1Hd9xiAB4wlFZ7oAAA==",
  },
  {
    name: "text, lc 0, lp 2, pb 0",
    length: 2500,
    sha256: "23fefc53631a2f753d145d864ded47826b531ca4a462aa94b32805b029b77cde",
    stream:
      "4AnDBVQSABGIR4ZPb7RtcMtBkcFj5TWqMFYUgVEQzp9uLVXq7soBFdEwTlCykKgfTKX8hEKUhCRU0Ntr6g632DxRGuYXO61HIsofhaHGQ0ZOjrP70oXn8sCuAUlsNP+MjsjMosmdXBu/f5NJIWL68U/EFiwkim07kxYM2duEOGDGjjYuX46UCro+6mawBBXjVHgbUCd2J2FTECKyOA6j8oNNNM01A2hV7Q7EkNR3NLlr9dhLH0J6Zf1bXenCWyQMPzIRAM76VmzQKmEtkaMJuSMTPoRieTUUxN6fEungrfoXXIwv+q17XuxcOZzm+MdWTOCshFTYfUUsiM0H9e4EGbBF8aGgneAUJ6spReDnMMM2aFMC9vyUNuO+y42+eNfDRs/spBdbURh4hefSjlqhkafvlLcf9yCQ4R7pK/QGk9RFzGnY/PdR6A/yT3sNSLXTUe6MAZRC8MHjyotO72B3Ny4iE48FgQF1qCNhBGxEFx9A+HiPW+vCGhS8xXFxmt2Mo4mwlfK5vsgOkjo9iFa0OOFoYT2nlBNRGZMKzxgw+/7pFH9Zc7s9MDJ5y8IbEsx7QswpMwhyYdVsH9w/DAqIQoAnI3uQJ9UbhZVcDRQ3TC4NYwMtrC/FFiMC7nS3QU7IZQkEpv2jBO+vUbP3ts+jl5WQ7aCBpn5TTf2m9AMWKFA1xus0BMMJuByjQNKdhkd40mZU7kWkdI94P03DQfIoAc73S+wb47Ojf+odjGI2hwrgfTqMqwno+wHW9/QPfhExEdZDYfB9jLB6nbHugmcaLsPFcBadnzGA2PuJNjH9gxUQDRtaNPQ9SuYXQkk1msAb+CsOs7P2f11Fpe49IelF6hrpiUz53e6sdmB/qpUCIZH61Ao+JVONh+iGadhjQaFwmIAe7O+smdR7dQdGZRmz+aXN2eHNmnw32S5a4XQqzSgy9WaesHf7yHmlc7G35GMJtYoCcjuZOEcpMAXAGAGTylVk90o/GJPipz1i7lWwRZ9cIia+DweroZUF9I6P6a9choZgHKdOvayounkW4q3RALLTWFqz6AbmNTyXK2fsu8y3Id5EYa3XPXsu6pemovWCxVXiWAoNHwnU4tbgEowWTMenVNV8dpsc+WYDUYqFoTE7n1Tw3YqtedhL6+wfszm0om50S43X6kpID4qrPBr5Rm1HJz4UmP4GxpRkcXtZHcdve2Bm5u/w92E88nNfuzukMM7j9Q5/oFKQUMl9RJgfTYkIBP02k4Aub7YY1N6m4I3RIxelzG2c5HuUhhrTqCAM8DjyUct+HYDydWKN6ZG7EpvMG8Eznf9LnaQTcjhfNvIvnXP5bYVVSiWA3AfWZRQ61tyTdalmQK8Y62TAG5qjxSdezyvp1VtHGaRsd9CShlJcpnQLQVXA8fkTu7YnsGr9CaPb4Z617FYCQEQ212y//4otjTSzG6AYNne0T97L9mAggeQhh8ahX6j4Yy71WAblh+N69hhszAsJybtOy/VnRMY5O7hULH7uFbkUqP94wiM450z0I4580IG8OA78nckxT+o85QGNQqYUhALTgGqB4rZKMvvB/OMsbSYyoFTw7OUzG516GeNkfsPZleM65LulN066U1w5tv7ZqLPlm7+0UwjtYgpX6jIuxU7eQhTy0C/674mP9sGPJFtKcmpE9OKHef6DUNvtl6O4riOJJCknyqgfr2tgM7P3xVvbqiB4Gl8pHDdgm3yA3MjiaYTWUvvoZVnSJdCzNjd08XPRU/lbORzSpyyAxADz7uhB/l9Jy41pDWy0fRxI52dFHh0fuC1+VyPgB5SyhrgziOwePZk2FG7yL83tMdCXHTUYAA==",
  },
  {
    name: "text, lc 4, lp 0, pb 4",
    length: 2500,
    sha256: "23fefc53631a2f753d145d864ded47826b531ca4a462aa94b32805b029b77cde",
    stream:
      "4AnDBUW4ABGIBwfhh7Yg3VtM18NqUwOG5NulyAeW49rB3ksE5Z7TFfkK+HvjHXHERZ5DHqXrYXTvLyI3OlA1Dp6YHXS39i9+xrG0P+g5GLZY4OyAIq2tGbOnU/wcHkFpVZRA2+nVPMJ61vpMYlRq4AcBi1B0k0tOE0habBJYaLh28wVa1ERTLdTs6T97XXKwjvS9Ziz+8OuDVd1sF9Y5WrC4gkMK1YuJxUk9e6rbo2y0DEc4Or4mEhH6/rhUdRbdaRbw3+OMIeM0TRV3CR1Y00Pc/a8b3i37kxEjwKnt19DoggJEf1KQEuX5FFgQP6hQWD6BZcBWAO3ZZ1WQpQSG9BdiEZfh8jyFtpB8l8zad/jV5rG5+eXtvQjjnTwJcN1x26kLRs1rvN0N9QFY0scP+/097SA9j5emCr3kb0b72Tbgi+gNqU2ZCC+7bVKpvkGVkosKgANNju5bQantpa8b6yYK2tZy5X4Y1zpzhK8epKe7erBg6VIfvWBUqzpTSDS3jXUaEBQ5f4NcPk0MyK25lF+r5lh2EK5JgO9FfrYAY1H/hQhqpwPGBjUm5W1DS8BEbXB1WjnEl4Uzoo3HfmSyoRuVxTnBnza4xb3s+Y65AhC1/tH4tUG998BoWP/4QwZ8HqdkA0NxoGmpe20+xQ9TQLtA0IbfUwXLj8TNJ8+ryTcJJh/FVM21ZNKOEIBWsbjqDk8CdxarwXWuSa6bM82urg9DkxIGb94VCeWbwnOkJq5LiFekFWqrjYhiMov0hgKQDuJkaaIO1e/xVOrB7RaJwf+XQMTnNdDBjNZ4JXxKiWKiaYREtT/FcxnRL5uVZ2dJriRpxKZUryvua5S2cTDQgSuB4y5PbFyFqE1W55XKRCgnnOUWp+t2xtT4mf08Z9P140dgCqMxkitcvCRF4CClDa7fRqJHrOSDo9PQ49p1c6/q0WquO42IGNEQTCGJ18rvW6RVdZ5OIKM/VYGxZLhbjdGo0ZFzTqR3awz4aEjZyp0VeKau02NhVtH0aKRaEO+XmLnuHv3TYTbibEybcspjeEmvFu1k47CvRlyn5PHnczjTRn9qCTZqHjPEC8A4gOedStaGAtlh5jvqWpIbHttlowfBTkrewkK2kZlwayV4sDTjp+BrKoYLnHKZKUTUIlzlu3KILPmmD2qz+ZO5VvQgfLoDPwVAIpiOOfoSUyRIfxAvEgdZ655W8lDSDkCmubMPqRjN9AY6rfIFYjY+OY64mMFS31eklXmTiRbwKOjzd7CKuZCQIyAzX8/4wUsafp18USV6M9KYVR9Qq59jgPOZWtxWxzfoqOTg7uTW00osrqtKdBjsaAdjmK8r0eLnswaRgsU+5/5AUE5CLP/i7JGLI5kVCAaw/UkABR8765R6O0DdCmgYLnJ3B6bMZwg5y1rckMT4W/nPD5e6W0S2VvhG/uHDxgjsHWzhq4ORlZpqCt8CVlqdhY44eVHqMFD31pfv9FXqfeg93l5AZfQbMIDHMqGoOxsaI3v/iCOvUuFAWc7ipIpk/i0fROZ93fthBu6rEntaCHzflb29yomu4/L9CqNHjXyuqzJ7TN8jcajuM18vAVTfCPZ2ajvv12Qk0sOKuiKQoPYa5IcvBv3w1PExmz72FRbmPrYSK60YC7EFZ1msC3RZWrqQ8ulh+Irfzbwho7E4to7aGJ0X4d/Wo6GqBOow+CvJGl/VCB2Z1/KfcOTYCaJoiRKgFagq5C4tJ8jYKAeu6fMTetgDf2MapMDhTVynng3dpljEtiOlWHPvVU/X/3y0IURu1pU/QeLwUk8wot9B78ADjZ5UiPAAAA==",
  },
  {
    name: "text, lc 1, lp 3, pb 1",
    length: 2500,
    sha256: "23fefc53631a2f753d145d864ded47826b531ca4a462aa94b32805b029b77cde",
    stream:
      "4AnDBXNJABGIBtrtML3Y5F0sLHUiHKX4cJp+NM8y/6LIZxsxwM28eYnpKOsS5qwJSjbzndYnzsBUfpQ6iohLnJFN8StbMt6Xw49U6/f2pxpE7D9P3mKU4H3WC9DvoUzosCqTm4NGA/dyAevZuJI+VyftORG0pp5mIMa4SwhEdBvWenV2gfrkey6pUg80XfSpBONR83zfJRGEqspARgGL5mgh469dIbMvZRpW6Wzs5DRVeCeNTJc3F/f4dnQqk19C/kZDmKCfIDmNCiwkYjFxlh15ifMufAW0Udkd2aReeshjNaB4KFrnhjVJmomUhFXqlgjR91wWQaflZ1p4e5ZIjZMfs1lJyXnoHM5ic94tDvmC3blqQD+ddWCfm8JCsqJuZmrx5fXPqLfAwdE6hAxcoT9nRI6POlwK70Ck03nqMp0+pDviWhDzwjlxi46Q3XehXKbRrCk9SPl/hqJKvEQpuknM/1EyjWE1EYGFplI4BC36DxSDvPorwybq4w0AwhPWUVFbtJXAxe+0NetRw7KoeKfsYgKHMEuaF1HjL201cDHnkapLx4lACFxJM7NRRIqCDn/sAUobeKww+engSW4UPVv792cqUcckNo/qRAYi7NZkPRdV5RQEfDEM3GQ1GFMhvmFDxOqHlhLs8RSMuPNISNP8zGLLPg3h9lC1qh9SHooYkllfUCn8vJnHDFTe5Hl5nAW6pRoLfh5lg0soUb/XMrUh/IZWM/Uac8cjZNWmyHAjGuTyU80dIaQ5uPZwn68F/1Q2ls094gI1kUHa9ouViAvmFckkVKVMKSC9BaW1pLyuaosLYOBmefDtRal37yYFqLTydYxFsf99XORLtr0MVrPESu5UVytB7zkJM/DSVRIj/FntyJBzqTkImanM/ujOxoZUMF5F/LpwH6H9Q8Rw4XlKaPMj3nDwkzo42TFKbgTEuUX4Lz3M76V89S10z2YKpHkylaaoYqMUMBZY1XhqueVa6aO70s/Dha0Y2K61EZhrXRKKPPEEPfPs6+2QCvuuBAxiPDbMCRN0wNwcLqoUb9ebXJlkNPt/5ricDNIrjnnLyKlvplINkeCRm48pqbsQGciEnskVX49lTaPM01gG/1i7VrR8wzhs24WZiSAdzIMlJM/+64PjOwqWkM+jkaENcvaI/I+NLz1VYUkvj9ySlsRhTwtSl74ryFv6KhagbS8l4liqZIC2oF7fp0Cw7z5xPsNkE1hnsBLoOKgksegSuJMvm62BoZjMfKWDA9catOA+Xke0yf9reDsv2sFNJNJDM1QHAN0kzFSnlOVlvlsqruhgzcR3onnBaWUdqTEL870G/3qNI0GZ17isMywIFaxVWX6Ts+wNPVP+veYTCrHZw+Kwzmm1QzKkLSK+qgsNDXcFYcvkzojLO4qRVU2beT4erajqTL+z6cDaDETw43Oaw/Hq+c9Rs1fV67eI8dghks+ricCy/VQmvx3exgpXLHxb9c7xf4jqMDoCkely5UuajZuAaPS2NEisxfArfy19HkSMKUc9+VUdH27oPQ4BLco7d6GkRmxHTYFlMbHqAteDZuhZbjOM9WGEuyIUy2kWKg5w7wJE/oo2gImxhXRbpp/ZZFv2ymtrJJ9lLkczNvUy/5+DvCL84QiqHPGyW3ssBQFO3VvUDJdGfPeNotPUEu8ioh/8egUem1nn9RWBnhtP9NXZIfTQ2OjL75ZE4G08+e+4Nvyiu4079eQqZJCPVQl7p1IOqYziq8B5gvBrMAlrG2vD6Lc7sBksjgvFKiHST8vWrLfUEOI658UZ0+EA9VQA8C9Ng+NTeic7gNnanIrdij6oscwq2WyXt4YliEuAuI0TiMsV/gYMw6MQ+vaUN34h5ny6H91nMJpyAAA=",
  },
  {
    name: "slopes, in two chunks",
    length: 2200000,
    sha256: "2a61605fdff9a59e1ea2ac7ab44d3ad08e0f238df5bf20162a2f8c3a0fc5a8b5",
    stream:
      "///JBJxdAABp/s0GmZztfB7crzstMA2On2AtVUGKql5EKJuzGpPYkB8TjIN8mxswjQ/VdaGWH+aa7p7Yh/4lwiw6reIZXZ8tNGvMmohwPkrbVrLd1QXqYYr2F6h5aaLz8oo/qBmZJWFHlbMxiJygXeYtb71Sn/6Bm3lWEGsLuZGC02A0sk1gIjhu6fBMnZ3H7jpvr01UopsOLp5oPLxVPDX9t+WwImitLWR6rOqq6XC6NufTIHFvc2peTTE9SqTH+O4vhoHI2yoTcaRWghAKDslgs2HPjVg8FCdyfDDvgUe9JcsrBaDCUeNhSyiP5VKMaPW/O1aP6UW0F1XxaPrWtN4ViuSEfN0M5xKivXs1nMPLTLmo9NDMiL/8V4o6Uh2tL0F1wfkdOVoMez3+d9eJaXk+usuWFS2im1ZyIS6BgVfcXiNkPMjkpUyTPQk1yW/P0wwCPi1a07G6xssBlpRZlcn/0JJDLJTOigcULx+czNZbVyEjEhR62JhT03GQ3bECvl7h+QqxPAWG8VFmNQxNQh99NAOoN7yz7izSiI2qLeChaRmscLvJM61J3D0lKkFuU/VBb4lPxhqB1habxR1uWuXZBxr6dVwN5EC3/TmDVoOrMz9SDOjBSwvenCOi4OrQZqGNFtpWHgzdgDibWHVcgR0hVMy4LewUL6cqrfB5SD8kai4f3MO0hJD00elEAOTlUT/nmpVWzS7uwrhVgHTEN9VWx4YQP6N69DTLoXGrLHVDe0TDH+oN0PRxcPimXOH2dar8td/rfePsXccaCSW7lTtXv7k4cj6khK7vlRAILPvDPHXrwhDYWzFxB+jSISV8sHqCeTJIFRjLevyALJ2sd18BuP3sfxw5y4xu5n8zRdUqu749+MF1TaBftm/QtlM9Yr+P6YFMsRXE5vR0+vSBuCG4MvPjy3nrLAqwwdtMWyPsu4dWIGRq3aBzQEnp+kG/Hs3PbcJXPXS3YGYXG3bxe+gPICIqHAhFFbZkxS6AkXRxfNkrvI68MpjwVBVQKyKjvuOzbnv7IJ9H+1PJQxn6F74bxq7d9oAalX6f67O8vU+4GZmG5PIoB19u5XSxM3JBjatIUVvt+tlstBMO/3Ymv9OT43NZh+5YI8YUnenx41PpydjBtmf1cIrReA4+2VN6WV5ouuk0/S2DBqRgKVg2VDc1V3CfEUFBzUutkHWlpxtJGW6F+JXUUPgS7iFs9ySmb/RPENSBnnE6eBit+dtC08aIN/jFpM7p1blFBnHp8J+wufCNSbcVFi81LgmVp61WrGub07YxIsVJu9mkTmZ+YYYE2s5AP/fHFn6IgYEPE+SpvYlmBxxZQpOOaJfIUuwV/zMzyjlbbBbQaj3Xcy+wUPQzVSuhCZBgOGWQ15fel/rRVNH4hNDyj2rIgbzPxiIHXObEor5QprEWeBL5fBq/1yLHl1HMWwFBY2pfpoWtctnEpU9zZg4Fw+FOGkDwtyZZSrUDiQDpbBzN7/aeFH7CDgcnrjwWDjE0HYG74q8Z513lw59jQERHeFywFGbTsdrBws3Zku98jAJHTlx/I2E3qbccSDA9+KuZoRedLRIaQnQR2k2BkfUAKgDMuCamIYVESZKg+4NXlv53Sm/Hmhj0gvhTAdQWuWKnO8QuMlvKyzE8gJMA",
  },
  {
    name: "a copy from 4 MiB before",
    length: 4194364,
    sha256: "dc6bf4204f3a29f295958bf7361e19cceb1f2d9e14d535f89fa331eb2e7aa411",
    stream:
      "//9NAa1dABGklyzmMu3pnCQQqMj0vckK0/hUQdm4zTsYk2xKcMW2tKoBJoMyzJSk4tSyERusP7S86yt7MWeIRqlCPPHKrqve1TQEFaDy+1zPxAF3omFAsRkNRAUM6/F5k5Sa5ouAx7qT3de6hEQu188/6g32zrXtAsVPoF2ndGWsr/ivxXOvRBj1pHy2YQEoiTqYpHmtvUfD1TyatEeDykAAj7UZWlU54b2iPlZlfkj00HRWg5wEbsy92eiKrZct/y7rmh26zrEnGFxZhulmUli+6XasWeTlWwUI+cfarfz7Uit0zR5bIEL53VM9+ClkCTuAyyps37U78MS9Ll+qDz5LZkKQEw7/EJP4cXhZ+AvN/5UoRg+p/Hze+5owLlbAj4Xzg4HAZcQlU/j1kTYxBaWw7m/BcE1HDNGREaqtYB26zrEnGFxZhulmUli+6XasWeTlWwUI+cfarfz7Uit0zR5bIEL53VM9+ClkCTuAyyps37U78MS9Ll+qDz5LZkKQEw7/EJP4cXhZ+AvN/5UoRg+p/Hze+5owLlbAj4Xzg4HAZcQlU/j1kTYxBaWw7m/BbPv6u5//EAErAOxzU6f9vq58MRqft40xbnCepyNf7CjLhdGVmIp+KpHyJ3X3GcAGmE2Y/div1ZAPxCVT+PWRNjEFpbDub8FwTUcM0ZERqq1gHbrOsScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvndUz34KWQJO4DLKmzftTvwxL0uX6oPPktmQpATDv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVT+PWRNjEFpbDub8FwTUcM0ZERqq1gHbrOsScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvndUz34KWQJO4DLKmzftTvwxL0uX6oPPktmQpATDv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVRDz+ygAHcAAoAP1LFyBO7/qMwAAA=",
  },
  {
    name: "a copy from 4 MiB and a byte before",
    length: 4194365,
    sha256: null,
    stream:
      "//9NAa1dAB4WQ4sKyrolVWhi8bEC6M7XBfM7dVQ4FjmhShJj53Gn98/gE9Nb3owA+ZJ2ry7tYpIPPY//hW0YrMPQhNU+59q9D1UaiMqhLOnaBAbci2LAOKeyTC/rqtk7HxI9wHl/iHq3GRhzZb6kQ1kScb7FicabrOvEQ87PaJxf6fpVhLlwjeleYA+S9uf0v3OXeIJEsa4i68mvFgUFkFomrHIMFpKnvjmPJOFwnqcjX+woy4XRlZiKfiqR8id19xnABphNmP3Yr9WQD8QlU/j1kTYxBaWw7m/BcE1HDNGREaqtYB26zrEnGFxZhulmUli+6XasWeTlWwUI+cfarfz7Uit0zR5bIEL53VM9+ClkCTuAyyps37U78MS9Ll+qDz5LZkKQEw7/EJP4cXhZ+AvN/5UoRg+p/Hze+5owLlbAj4Xzg4HAZcQlU/j1kTYxBaWw7m/BcE1HDNGREaqtYB26zrEnGFxZhulmUli+6XasWeTlWwUI+cfarfz7Uit0zR5bIEL53VM9+ClkCTuAyyps37U78MS9Ll+qDz5LZkKQEw7/EJP4cXhZ+AvN/5UoPEInIp//EAErAOxzU6f9vq58MRqft40xbnCepyNf7CjLhdGVmIp+KpHyJ3X3GcAGmE2Y/div1ZAPxCVT+PWRNjEFpbDub8FwTUcM0ZERqq1gHbrOsScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvndUz34KWQJO4DLKmzftTvwxL0uX6oPPktmQpATDv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVT+PWRNjEFpbDub8FwTUcM0ZERqq1gHbrOsScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvndUz34KWQJO4DLKmzftTvwxL0uX6oPPktmQpATDv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVRDz+ygAHdAAsAP1h8LDK8AAAAAAAA",
  },
];
