//! `roomcast template …`: through the daemon if one runs, else on the store itself.
//!
//! Owns the text output of templates, and how tags are read from options.
//!
//! Not here: the checks of a template (`admin/templates.rs`).

use std::path::Path;

use hyper::Method;
use serde_json::{Map, Value};

use super::{
    args::{self, AddTemplate as Add, Engine, Tags, Template},
    backend::{Backend, failure, parse_arg},
    credentials::read_file,
    exit::Failure,
    output::{Table, print, print_json, print_text},
};
use crate::{
    admin::wire::{
        AddTemplate, RemovedTexts, RenderRequest, RenderedTemplate, TemplateAdded, TemplateView,
    },
    config::Config,
    domain::{Audience, Format, TemplateEngine, TemplateName},
};

pub(super) async fn run(config: &Config, command: Template) -> Result<(), Failure> {
    // Input is read before anything is opened.
    match command {
        Template::Add(add) => {
            let request = request(add)?;
            Backend::open(config).await?.add_template(request).await
        }
        Template::List { json } => Backend::open(config).await?.list_templates(json).await,
        Template::Show { name, json } => {
            let name = parse_arg(&name)?;
            Backend::open(config).await?.show_template(&name, json).await
        }
        Template::Remove { name, platform } => {
            let name = parse_arg(&name)?;
            let platform = platform.as_deref().map(parse_arg).transpose()?;
            Backend::open(config).await?.remove_template(&name, platform).await
        }
        Template::Render { name, platform, tags, json } => {
            let platform = platform.as_deref().map(parse_arg).transpose()?;
            let (name, tags) = (parse_arg(&name)?, Value::Object(read_tags(&tags)?));
            Backend::open(config)
                .await?
                .render_template(&name, RenderRequest { platform, tags }, json)
                .await
        }
    }
}

impl Backend {
    async fn add_template(&self, request: AddTemplate) -> Result<(), Failure> {
        let (name, platform) = (request.name.clone(), request.platform);
        let added: TemplateAdded = self
            .ask(Method::POST, "/v1/templates", request, async |service, request| {
                service.add_template(request).await
            })
            .await?;
        let whom = platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
        print(&match added.changed {
            true => format!("{name}{whom}"),
            false => format!("{name}{whom}: the same text was there already; nothing was changed"),
        });
        Ok(())
    }

    async fn list_templates(&self, json: bool) -> Result<(), Failure> {
        let all: Vec<TemplateView> = match self {
            Self::Daemon(client) => client.get("/v1/templates").await?,
            Self::LocalStore(service) => service.list_templates(),
        };
        let mut table =
            Table::new(&["name", "platform", "engine", "format", "bytes", "written", "broken"]);
        for one in all {
            if json {
                print_json(&one);
                continue;
            }
            let (format, broken) = (
                one.format.map_or_else(none, |format| format.to_string()),
                one.broken.unwrap_or_else(none),
            );
            table.row([
                one.name.to_string(),
                one.platform.to_string(),
                one.engine.to_string(),
                format,
                one.bytes.to_string(),
                one.written_at,
                broken,
            ]);
        }
        if !json {
            table.print("no templates");
        }
        Ok(())
    }

    async fn show_template(&self, name: &TemplateName, json: bool) -> Result<(), Failure> {
        let texts: Vec<TemplateView> = match self {
            Self::Daemon(client) => client.get(&format!("/v1/templates/{name}")).await?,
            Self::LocalStore(service) => service.show_template(name).map_err(failure)?,
        };
        for (place, one) in texts.into_iter().enumerate() {
            if json {
                print_json(&one);
                continue;
            }
            if place > 0 {
                print("");
            }
            let format = one.format.map(|format| format!(", {format}")).unwrap_or_default();
            let broken =
                one.broken.map(|why| format!(", cannot be read: {why}")).unwrap_or_default();
            print(&format!(
                "for {} ({}{format}, {}{broken}):",
                one.platform, one.engine, one.written_at
            ));
            print_text(&one.text.unwrap_or_default());
        }
        Ok(())
    }

    async fn remove_template(
        &self,
        name: &TemplateName,
        platform: Option<Audience>,
    ) -> Result<(), Failure> {
        let mut path = format!("/v1/templates/{name}");
        if let Some(platform) = platform {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("platform", platform.as_str())
                .finish();
            path = format!("{path}?{query}");
        }
        let service = async |service: &crate::admin::SubscriptionService, ()| {
            service.remove_template(name, platform).await
        };
        let gone: RemovedTexts = self.ask(Method::DELETE, &path, (), service).await?;
        print(&match (platform, gone.removed) {
            (Some(platform), _) => format!("removed the text of {name} for {platform}"),
            (None, 1) => format!("removed {name}"),
            (None, texts) => format!("removed {name}, {texts} texts"),
        });
        Ok(())
    }

    async fn render_template(
        &self,
        name: &TemplateName,
        request: RenderRequest,
        json: bool,
    ) -> Result<(), Failure> {
        let path = format!("/v1/templates/{name}/render");
        let service = async |service: &crate::admin::SubscriptionService, request| {
            service.render_template(name, request)
        };
        let said: RenderedTemplate = self.ask(Method::POST, &path, request, service).await?;
        if json {
            print_json(&said);
        } else {
            print_text(&said.text);
        }
        Ok(())
    }
}

fn request(add: Add) -> Result<AddTemplate, Failure> {
    let mut text = read_file(add.file.as_deref().unwrap_or_else(|| Path::new("-")))?;
    // The final line break belongs to the file, not to the template.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    let engine = match add.engine {
        Engine::Tags => TemplateEngine::Tags,
        Engine::Jinja => TemplateEngine::Jinja,
    };
    let format = add.format.map(|format| match format {
        args::Format::Text => Format::Text,
        args::Format::Markdown => Format::Markdown,
    });
    Ok(AddTemplate {
        name: parse_arg(&add.name)?,
        platform: add.platform.as_deref().map(parse_arg).transpose()?,
        engine: Some(engine),
        format,
        text,
        replace: add.replace,
    })
}

/// The tags of the file and of the options; options win.
pub(super) fn read_tags(tags: &Tags) -> Result<Map<String, Value>, Failure> {
    let mut all = match &tags.tags {
        None => Map::new(),
        Some(path) => serde_json::from_str(&read_file(path)?).map_err(|mistake| {
            Failure::Usage(format!("--tags {}: it is not a JSON object: {mistake}", path.display()))
        })?,
    };
    for one in &tags.tag {
        let (name, value) = one
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("--tag {one:?} has no value: say NAME=VALUE")))?;
        all.insert(name.to_owned(), Value::String(value.to_owned()));
    }
    Ok(all)
}

fn none() -> String {
    "-".to_owned()
}
