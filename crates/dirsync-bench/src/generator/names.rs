//! The words that people, titles, departments and telephone numbers are made of.
//!
//! More frequent ones stand first in each list: the generator prefers small indices.

/// Given names, blank-separated.
pub const FIRST: &str = "
Maria James Anna Michael Wei John Fatima David Ana Mohammed Elena Robert Sofia Thomas Olga Peter
Laura Daniel Yuki Paul Sarah José Emma Andreas Julia Carlos Aisha Martin Ingrid Alexander Priya
Stefan Marta Luis Hanna Jan Claire Ahmed Nina Marco Katarzyna Kenji Isabel Rahul Lena Pedro Zoë
Omar Eva Antonio Mei Lukas Chiara Ivan Amina Erik Camille Hiroshi Agnieszka Diego Leila Jonas
Beatriz Arjun Francesca Tomasz Noor Henrik Lucía Dmitri Helen Kwame Astrid Matteo Jana Samuel
Ayşe Piotr Giulia Rajesh Freya Miguel Svetlana Oliver Nadia Björn Ngozi Marek Élodie Takeshi
Teresa Viktor Monika Ali Sinéad Javier Rania Nils Valentina Sanjay Ewa Hassan Birgit Rafael Linh
Milan Carmen Yusuf Kirsten Giovanni Sunita Patrick Zofia Mehmet Anneli Fernando Chloé Karim
Dorota Sven Lakshmi André Hye-jin Ricardo Tamara Minh Petra Emeka Renata Lars Sakura Vincent
Halima Jörg Pilar Tariq Helga Nikos Divya Christopher Magdalena Jun Esther Łukasz Inês Abdul
Greta Stelios Adaeze Bruno Katja Ravi Simone Mats Yasmin Gabriel Ludmila Chen Irene Oskar Meera
Philippe Zuzana Tunde Marija Anders Keiko Hugo Sabine Farid Johanna Bogdan Ximena Kofi Margaux
Radek Tuuli Enrique Shirin Colm Dagmar Tadeusz Nomsa Kjell Bilal Rosa Goran Mairéad Eduardo Haruka
Timo Blessing Laszlo Orla Vikram Saskia Joaquín Elif Ruben Thandiwe Gustav Lidia Ryo Aoife";

/// Family names, blank-separated; an underscore stands for a blank.
pub const LAST: &str = "
Smith Müller Garcia Wang Silva Johnson Li Martin Kim Nguyen Schmidt Jones Rossi Zhang Brown Tanaka
Kowalski Singh Fernandez Ivanov Williams Schneider Lopez Chen Santos Ali Davis Fischer Novak
Suzuki Johansson Khan Miller Weber Gonzalez Liu Oliveira Hassan Wilson Meyer Rodriguez Sato
Andersson Sharma Taylor Wagner Perez Yang Souza Ahmed Anderson Becker Sanchez Huang Costa Hussain
Thomas Schulz Ramirez Zhao Pereira Rahman Moore Hoffmann Torres Wu Ferreira Patel Jackson Koch
Flores Zhou Almeida Kumar White Richter Rivera Xu Ribeiro Gupta Harris Klein Gomez Sun Carvalho
Das Clark Wolf Diaz Ma Gomes Roy Lewis Schröder Cruz Zhu Martins Mishra Robinson Neumann Morales
Hu Araújo Reddy Walker Schwarz Reyes Guo Barbosa Nair Young Zimmermann Ortiz He Rocha Iyer Allen
Braun Gutierrez Lin Dias Mehta King Krüger Chavez Gao Nunes Verma Wright Hofmann Ramos Luo Moreira
Joshi Scott Hartmann Ruiz Zheng Cardoso Rao Hill Lange Alvarez Liang Teixeira Menon Green Werner
Mendoza Xie Correia Pillai Adams Krause Vasquez Song Cavalcanti Bose Baker Lehmann Castillo Tang
Mendes Banerjee Nelson Köhler Jimenez Han Freitas Kapoor Campbell Maier Moreno Feng Vieira Malik
Mitchell Herrmann Romero Deng Monteiro Sheikh Carter König Herrera Cao Moura Qureshi Roberts Walter
Medina Peng Duarte Siddiqui Phillips Mayer Aguilar Zeng Azevedo Iqbal Evans Huber Vargas Xiao
Campos Chaudhry Turner Kaiser Castro Tian Pinto Mirza Parker Fuchs Guzman Dong Machado Haddad
Collins Lang Munoz Pan Cunha Nasser Edwards Scholz Rojas Yuan Fonseca Mansour Stewart Möller
Salazar Cai Tavares Khoury Morris Weiß Soto Jiang Magalhães Saleh Murphy Jung Contreras Yu Neves
Farouk Cook Hahn Delgado Du Coelho Aziz Rogers Vogel Pena Ye Matos Bakr Morgan Friedrich Rios
Cheng Brito Demir Cooper Keller Sandoval Wei Borges Yılmaz Peterson Günther Ortega Su Lima Kaya
Reed Frank Guerrero Lyu Antunes Çelik Bailey Berger Nunez Ding Figueiredo Şahin Kelly Winkler
Estrada Ren Leite Öztürk Howard Roth Cabrera Lu Baptista Aydın Ward Beck Vega Yao Marques Arslan
Cox Lorenz Valdez Shen Simões Doğan Richardson Baumann Fuentes Zhong Henriques Kılıç Watson Franke
Carrillo Cui Lourenço Aslan Brooks Albrecht Dominguez Tan Guerreiro Wood Schuster Maldonado Lau
Amaral Bennett Simon Espinoza Chan Nascimento Gray Ludwig Acosta Ho Bianchi Hughes Böhm Padilla
Wong Esposito Price Winter Molina Leung Colombo Myers Kraus Navarro Ng Ricci Long Martens Serrano
Takahashi Marino Foster Schumacher Rosales Watanabe Greco Sanders Vogt Ochoa Ito Conti Ross Stein
Ibarra Yamamoto Romano Powell Jäger Velasquez Nakamura Gallo Sullivan Otto Quintero Kobayashi
Mancini Russell Sommer Zamora Kato Ferrari Murray Groß Trujillo Yoshida Lombardi Bell Seidel
Peralta Yamada Moretti Coleman Heinrich Villanueva Sasaki Barbieri Butler Brandt Bautista
Yamaguchi Fontana Henderson Haas Cortez Matsumoto Santoro Barnes Schreiber Escobar Inoue Mariani
O'Brien Graf Galindo Kimura Rinaldi O'Connor Dietrich Bernal Hayashi Caruso Fisher Ziegler
Montoya Shimizu Ferrara Jenkins Kuhn Arellano Saito Galli Perry Pohl Benitez Mori De_Luca Byrne
Engel Cisneros Abe Leone Walsh Horn Duran Ikeda Longo McCarthy Busch Cardenas Hashimoto Gentile
Doyle Bergmann Solis Ishikawa Martinelli Gallagher Voigt Tapia Ogawa Vitale Doherty Sauer Zavala
Okada Nowak Kennedy Arnold Lara Goto Wiśniewski Lynch Pfeiffer Quintana Hasegawa Wójcik Quinn
van_Dijk Nikolaidis Kamiński de_Vries Papadopoulos Lewandowski Jansen Georgiou Zieliński Bakker
Ioannou Szymański Visser Petrov Woźniak Smit Sokolov Dąbrowski de_Boer Popov Kozłowski Mulder
Lebedev Jankowski Bos Kuznetsov Mazur Peeters Morozov Krawczyk Hansen Volkov Svoboda Larsen
Horvat Dvořák Olsen Kovačević Procházka Nilsson Jovanović Kučera Eriksson Popescu Veselý Virtanen
Ionescu Korhonen Szabó Mäkinen Tóth Nieminen Kovács Dubois Okafor Lefèvre Adeyemi Moreau Mensah
Laurent Nkosi Girard Dlamini Roux Mokoena Fournier Abebe Lambert Kamau Bonnet Otieno";

/// Titles; most people have one of the first.
pub const TITLES: [&str; 40] = [
    "Engineer",
    "Clerk",
    "Analyst",
    "Technician",
    "Consultant",
    "Assistant",
    "Project Manager",
    "Accountant",
    "Sales Representative",
    "Developer",
    "Designer",
    "Buyer",
    "Team Lead",
    "Nurse",
    "Planner",
    "Inspector",
    "Lawyer",
    "Editor",
    "Trainer",
    "Translator",
    "Chemist",
    "Architect",
    "Auditor",
    "Librarian",
    "Physician",
    "Recruiter",
    "Dispatcher",
    "Surveyor",
    "Senior Engineer",
    "Senior Analyst",
    "Senior Consultant",
    "Product Manager",
    "Account Manager",
    "Office Manager",
    "Head of Department",
    "Head of Laboratory",
    "Plant Manager",
    "Regional Director",
    "Vice President",
    "Managing Director",
];

/// Areas; each is divided into the [`BRANCHES`].
pub const AREAS: [&str; 15] = [
    "Sales",
    "Production",
    "Customer Service",
    "Research",
    "Finance",
    "Logistics",
    "Information Technology",
    "Human Resources",
    "Purchasing",
    "Quality",
    "Marketing",
    "Maintenance",
    "Legal",
    "Facilities",
    "Communications",
];

/// The branches of an area: 60 departments in all.
pub const BRANCHES: [&str; 4] = ["Central", "North", "South", "Overseas"];

/// Sites' telephone prefixes: numbers that are reserved for fiction, so that nobody is called.
pub const SITE_PREFIXES: [&str; 12] = [
    "+1 206 555",
    "+1 312 555",
    "+1 617 555",
    "+44 20 7946",
    "+44 161 496",
    "+44 131 496",
    "+353 20 910",
    "+61 2 5550",
    "+61 3 7010",
    "+46 8 465 004",
    "+49 30 23125",
    "+33 1 99 00",
];
