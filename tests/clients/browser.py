"""A person with a browser, as far as these stories need one: pages, the forms on them, cookies."""

import http.cookiejar
import html.parser
import re
import urllib.error
import urllib.parse
import urllib.request
import uuid


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


class Page:
    def __init__(self, status, headers, body, url):
        self.status, self.headers, self.body, self.url = status, headers, body, url
        self.location = headers.get("location", "")
        self.text = body.decode("utf-8", "replace")

    def form(self, action):
        """The form that goes to `action` (a path, or the end of one)."""
        forms = Forms()
        forms.feed(self.text)
        for form in forms.found:
            if urllib.parse.unquote(form["action"]).endswith(action):
                return form
        raise AssertionError(f"no form to {action} on {self.url}: {[f['action'] for f in forms.found]}")

    def stats(self):
        """The figures of the page's stat strip, by label."""
        strip = re.findall(r"<dt>(.*?)</dt>\s*<dd[^>]*>(.*?)</dd>", self.text, re.S)
        plain = lambda markup: re.sub(r"<[^>]+>", "", markup).strip()
        return {plain(label): plain(value) for label, value in strip}


class Forms(html.parser.HTMLParser):
    """Every form of a page with what its fields hold."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.form = self.select = self.textarea = None

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "form":
            self.form = {
                "action": a.get("action", ""),
                "multipart": "multipart" in a.get("enctype", ""),
                "fields": {},
            }
            self.found.append(self.form)
        if self.form is None:
            return
        fields, name = self.form["fields"], a.get("name")
        if tag == "input" and name and a.get("type") != "file":
            if a.get("type") not in ("checkbox", "radio"):
                fields[name] = a.get("value", "")
            elif "checked" in a:
                fields[name] = a.get("value", "on")
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select:
            if "selected" in a or self.select not in fields:
                fields[self.select] = a.get("value", "")
        elif tag == "textarea":
            self.textarea = name
            fields[name] = ""

    def handle_data(self, data):
        if self.textarea:
            self.form["fields"][self.textarea] += data

    def handle_endtag(self, tag):
        if tag == "form":
            self.form = None
        elif tag == "select":
            self.select = None
        elif tag == "textarea":
            self.textarea = None


class Person:
    def __init__(self, base):
        self.base = base
        self.opener = urllib.request.build_opener(
            NoRedirect,
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )

    def open(self, path, body=None, headers=None):
        url = urllib.parse.urljoin(self.base, path)
        request = urllib.request.Request(url, data=body, headers=headers or {})
        try:
            reply = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            reply = error
        with reply:
            return Page(reply.status, reply.headers, reply.read(), path)

    def get(self, path, status=200):
        page = self.open(path)
        assert page.status == status, f"{path}: {page.status} {page.text[:2000]}"
        return page

    def submit(self, path, action, values=None, files=None, status=303):
        """Opens a page, fills its form and sends it; files are (field, name, bytes)."""
        form = self.get(path).form(action)
        fields = {**form["fields"], **(values or {})}
        headers = {"Origin": self.base}
        if form["multipart"]:
            boundary = uuid.uuid4().hex
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            body = multipart(boundary, fields, files or [])
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urllib.parse.urlencode(fields).encode()
        page = self.open(form["action"] or path, body, headers)
        assert page.status == status, f"{action}: {page.status} {page.text[:3000]}"
        return page


def multipart(boundary, fields, files):
    parts = []
    # The form's token comes first: nothing else is read without it.
    for name, value in sorted(fields.items(), key=lambda field: field[0] != "csrf"):
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        parts.append(head.encode() + value.encode() + b"\r\n")
    for name, file_name, content in files:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
            "Content-Type: application/x-bittorrent\r\n\r\n"
        )
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
