//! A mail server that wants TLS and a password, and keeps all mails.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// The user and the password that it takes.
pub(crate) const LOGIN: (&str, &str) = ("backup", "mail-s3cret");

const SERVER: &str = r#"
import asyncio, json, logging, os, ssl, sys, threading
from aiosmtpd.smtp import SMTP, AuthResult

certificate, key, mails, user, password = sys.argv[1:]
logging.disable()

class Keep:
    async def handle_DATA(self, server, session, envelope):
        with open(mails, "a") as file:
            text = envelope.content.decode()
            print(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": text}), file=file)
        return "250 OK"

def judge(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (user.encode(), password.encode()))

async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    speak = lambda: SMTP(Keep(), tls_context=tls, require_starttls=True, authenticator=judge, auth_required=True)
    server = await asyncio.get_running_loop().create_server(speak, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

# It ends with the test, however that ends.
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
asyncio.run(main())
"#;

/// The server.
pub(crate) struct MailServer {
    process: Child,
    pub(crate) port: u16,
    pub(crate) certificate: PathBuf,
    mails: PathBuf,
}

impl MailServer {
    /// Starts it with its files in this directory.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let certificate = directory.join("mail.pem");
        let key = directory.join("mail.key");
        fs::write(&certificate, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        let mails = directory.join("mails");
        fs::write(&mails, "")?;
        // Debian's own Python, which has Debian's packages.
        let mut process = Command::new("/usr/bin/python3")
            .args(["-W", "ignore", "-c", SERVER])
            .args([&certificate, &key, &mails])
            .args([LOGIN.0, LOGIN.1])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("install Debian's python3-aiosmtpd")?;
        let output = process.stdout.take().context("it is a pipe")?;
        let mut port = String::new();
        BufReader::new(output).read_line(&mut port)?;
        Ok(Self {
            process,
            port: port
                .trim()
                .parse()
                .context("install Debian's python3-aiosmtpd")?,
            certificate,
            mails,
        })
    }

    /// What came since the last time.
    pub(crate) fn take(&self) -> Result<Vec<serde_json::Value>> {
        let text = fs::read_to_string(&self.mails)?;
        fs::write(&self.mails, "")?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
