//! Further nodes of a site: each with a data directory of its own, on the same database.

use std::net::TcpListener;

use actix_web::web;
use seedbank::app::App;
use seedbank::config::Config;
use seedbank::serve::{self, Running};

use super::{Browser, Site};

pub struct Node {
    pub app: web::Data<App>,
    pub port: u16,
    running: Option<Running>,
}

impl Site {
    /// Starts a node whose data directory has this name, or says why it does not start.
    pub async fn node(
        &self,
        directory: &str,
        change: impl FnOnce(&mut Config),
    ) -> anyhow::Result<Node> {
        let mut config = self.config.clone();
        config.server.data_dir = self.directory().join(directory);
        change(&mut config);
        let app = web::Data::new(App::build(config, self.clock.clone()).await?);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let running = Some(serve::start(&app, listener)?);
        Ok(Node { app, port, running })
    }

    /// Ends as `kill -9` would, and stays away.
    pub async fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill().await;
        }
    }
}

impl Node {
    pub fn browser(&self) -> Browser {
        Browser::new(self.port)
    }

    pub async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await.unwrap();
        }
        self.app.db.close().await;
    }
}
